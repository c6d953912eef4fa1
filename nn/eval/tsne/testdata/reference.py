#!/usr/bin/python3
"""Writes blobs.npy, synthetic features, and prints the divergences of scikit-learn's t-SNE.

Written with scikit-learn 1.2.1.
"""
import numpy as np
from sklearn.manifold import TSNE

rng = np.random.RandomState(0)
n, d = 600, 16
x = (1.5 * rng.randn(8, d)[np.arange(n) % 8] * (np.arange(n) % 8 > 0)[:, None] + rng.randn(n, d) * (0.5 + np.arange(n) % 3)[:, None] / 2)
x = x.astype(np.float16)
np.save("blobs.npy", x)
for method in "exact", "barnes_hut":
    t = TSNE(init="pca", learning_rate="auto", random_state=0, method=method, n_iter=1000)
    t.fit(x.astype(np.float32))
    print(method, t.kl_divergence_)
