#!/usr/bin/python3
"""Writes losses.json: the losses for long tails and their gradients by PyTorch in
float64, and the weights of a small network over 20 steps of SGD with three of them. The
formulas are the papers'. Run it in this directory."""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
counts = torch.tensor([100, 40, 15, 6, 2])
C, N = len(counts), 7


def f32(x):
    return x.float().double()


def effective(beta):
    w = (1 - beta) / (1 - beta**counts)
    return w / w.sum() * C


def ldam(z, y, weight=None, max_m=0.5, s=30):
    m = 1 / counts**0.25
    m = m * max_m / m.max()
    return F.cross_entropy(s * (z - m[y][:, None] * F.one_hot(y, C)), y, weight=weight)


def focal(z, y, gamma, weight=None, weighted_p=False):
    ce = F.cross_entropy(z, y, reduction="none")
    w = torch.ones(len(y)) if weight is None else weight[y]
    p = torch.exp(-(w * ce if weighted_p else ce))
    return (w * (1 - p) ** gamma * ce).mean()


def smoothing(z, y, head, tail):
    lo, hi = counts.min(), counts.max()
    e = (tail + (head - tail) * torch.sin(torch.pi / 2 * (counts - lo) / (hi - lo)))[y]
    logp = F.log_softmax(z, 1)
    return ((1 - e) * -logp.gather(1, y[:, None])[:, 0] + e * -logp.mean(1)).mean()


prior = torch.log(counts / counts.sum())
losses = {
    "cross-entropy": lambda z, y: F.cross_entropy(z, y),
    "class-balanced": lambda z, y: F.cross_entropy(z, y, weight=effective(0.99)),
    "focal 2": lambda z, y: focal(z, y, 2),
    "focal 0.5": lambda z, y: focal(z, y, 0.5),
    "focal 1, weights": lambda z, y: focal(z, y, 1, effective(0.99)),
    "focal 1, weighted p": lambda z, y: focal(z, y, 1, effective(0.99), True),
    "LDAM": lambda z, y: ldam(z / 5, y),
    "LDAM, weights": lambda z, y: ldam(z / 5, y, effective(0.99), 0.3, 20),
    "balanced softmax": lambda z, y: F.cross_entropy(z + torch.log(counts), y),
    "logit adjustment": lambda z, y: F.cross_entropy(z + 1.5 * prior, y),
    "label-aware smoothing": lambda z, y: smoothing(z, y, 0.4, 0.1),
}
logits = f32(3 * torch.randn(N, C))
labels = torch.tensor([0, 1, 2, 3, 4, 0, 4])
partner = torch.tensor([3, 4, 4, 0, 1, 2, 0])
out = {"Counts": counts.tolist(), "Logits": logits.flatten().tolist(), "Labels": labels.tolist(), "Partner": partner.tolist(), "Lambda": 0.3, "Losses": {}}
for name, loss in losses.items():
    z = logits.clone().requires_grad_()
    v = loss(z, labels)
    g = torch.autograd.grad(v, z)[0]
    m = 0.3 * loss(z, labels) + 0.7 * loss(z, partner)
    gm = torch.autograd.grad(m, z)[0]
    out["Losses"][name] = {"Value": v.item(), "Grad": g.flatten().tolist(), "Mixed": m.item(), "MixedGrad": gm.flatten().tolist()}

# 20 steps of a network with 6 inputs, 8 hidden units and 5 classes.
x = f32(torch.randn(12, 6))
y = torch.tensor([0, 1, 2, 3, 4, 0, 0, 1, 0, 1, 2, 0])
start = [f32(torch.randn(8, 6) / 3), f32(torch.randn(8) / 3), f32(torch.randn(5, 8) / 3), f32(torch.randn(5) / 3)]
out["X"], out["Y"] = x.flatten().tolist(), y.tolist()
out["Start"] = [p.flatten().tolist() for p in start]
out["Paths"] = {}
for name in ("cross-entropy", "balanced softmax", "LDAM-DRW"):
    p = [t.clone().requires_grad_() for t in start]
    opt = torch.optim.SGD(p if name != "LDAM-DRW" else p[:3], lr=0.1, momentum=0.9, weight_decay=5e-4)
    values = []
    for step in range(20):
        h = torch.tanh(x @ p[0].T + p[1])
        if name == "LDAM-DRW":
            z = F.normalize(h) @ F.normalize(p[2]).T
            loss = ldam(z, y, effective(0.9999) if step >= 10 else None)
        else:
            z = h @ p[2].T + p[3]
            loss = losses[name](z, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        values.append(loss.item())
    out["Paths"][name] = {"Loss": values, "End": [t.detach().flatten().tolist() for t in p]}

with open("losses.json", "w") as f:
    json.dump(out, f, separators=(",", ":"))
