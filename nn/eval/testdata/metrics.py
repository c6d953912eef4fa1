"""Writes metrics.json: measures of random logits by numpy and scikit-learn.

    /usr/bin/python3 metrics.py > metrics.json
"""
import json, sys
import numpy as np
from sklearn import metrics

rng = np.random.RandomState(4)
n, k = 80, 5
y = np.concatenate([np.arange(k), rng.choice(k, n - k, p=[.4, .3, .15, .1, .05])])
z = (rng.randn(n, k) * 1.5 + 1.6 * np.eye(k)[y]).astype(np.float32)
d = z.astype(np.float64)
p = np.exp(d - d.max(1, keepdims=True))
p /= p.sum(1, keepdims=True)
pred = d.argmax(1)
conf = p.max(1)


def reliability(bins):
    which = np.ceil(conf * bins).astype(int) - 1
    rows, ece, mce = [], 0.0, 0.0
    for b in range(bins):
        m = which == b
        acc, c = ((pred == y)[m].mean(), conf[m].mean()) if m.any() else (0.0, 0.0)
        rows.append({"Count": int(m.sum()), "Accuracy": acc, "Confidence": c})
        ece += m.mean() * abs(acc - c)
        mce = max(mce, abs(acc - c))
    return {"N": bins, "ECE": ece, "MCE": mce, "Bins": rows}


json.dump({
    "K": k, "Labels": y.tolist(), "Logits": z.flatten().tolist(),
    "Accuracy": metrics.accuracy_score(y, pred),
    "Top": [metrics.top_k_accuracy_score(y, d, k=i, labels=range(k)) for i in range(1, k)],
    "Balanced": metrics.balanced_accuracy_score(y, pred),
    "Confusion": metrics.confusion_matrix(y, pred).tolist(),
    "NLL": metrics.log_loss(y, p), "Brier": ((p - np.eye(k)[y]) ** 2).sum(1).mean(),
    "Calibration": [reliability(b) for b in (5, 10, 15)],
}, sys.stdout)
