#!/usr/bin/python3
"""Writes rivals.json: the losses of BBN, RIDE and ProCo and their gradients by PyTorch in
float64, and Bessel functions by mpmath to 50 digits. The formulas are the papers' and those
of the authors' programs. Run it in this directory."""

import json

import mpmath as mp
import torch
import torch.nn.functional as F

mp.mp.dps = 50
torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
counts = torch.tensor([100.0, 40, 15, 6, 2])
C, N = len(counts), 6
y1, y2 = torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([3, 4, 4, 0, 1, 2])
out = {"Counts": [int(c) for c in counts], "Y1": y1.tolist(), "Y2": y2.tolist()}


def f32(x):
    return x.float().double()


def flat(x):
    return x.detach().flatten().tolist()


def balanced(z, y):
    return F.cross_entropy(z + torch.log(counts), y)


def effective(beta):
    w = (1 - beta) / (1 - beta**counts)
    return w / w.sum() * C


def case(loss, *inputs):
    x = [i.clone().requires_grad_() for i in inputs]
    v = loss(*x)
    return {"Value": v.item(), "Grads": [flat(g) for g in torch.autograd.grad(v, x)]}


# BBN, with alpha = 0.36.
z1, z2 = f32(2 * torch.randn(N, C)), f32(2 * torch.randn(N, C))
out["Z"] = [flat(z1), flat(z2)]


def bbn(loss, a):
    def f(z1, z2):
        z = a * z1 + (1 - a) * z2
        return a * loss(z, y1) + (1 - a) * loss(z, y2)

    return f


out["BBN"] = {"cross-entropy": case(bbn(F.cross_entropy, 0.36), z1, z2), "balanced softmax": case(bbn(balanced, 0.36), z1, z2)}

# RIDE: three experts whose logits are 30 times cosines.
experts = [f32(30 * torch.tanh(0.5 * torch.randn(N, C))) for _ in range(3)]
out["Experts"] = [flat(z) for z in experts]


def ride(weight=None, factor=0.2, base=1.0, gamma=0.05, max_m=0.5, s=30):
    m = 1 / counts**0.25
    m = m * max_m / m.max()
    t = torch.full((C,), base)
    if weight is not None:
        t = C * counts / counts.sum() * gamma + 1 - gamma
        t = base * t / t.max()

    def f(*z):
        mean = torch.stack(z).mean(0).detach()
        loss = 0
        for zi in z:
            loss = loss + F.cross_entropy(zi - s * m[y1][:, None] * F.one_hot(y1, C), y1, weight=weight)
            kl = F.kl_div(F.log_softmax(zi / t, 1), F.softmax(mean / t, 1), reduction="batchmean")
            loss = loss - factor * t.mean() ** 2 * kl
        return loss

    return f


out["RIDE"] = {
    "early": case(ride(), *experts),
    "late": case(ride(effective(0.9999)), *experts),
    "options": case(ride(effective(0.99), 0.45, 1.5, 0.2, 0.3, 20), *experts),
    "independent": case(ride(factor=0), *experts),
}


# log I_nu(x) - nu log x and I_{nu+1}(x) / I_nu(x).
def von_mises(nu, x):
    nu, x = mp.mpf(nu), mp.mpf(x)
    if x == 0:
        return float(-nu * mp.log(2) - mp.loggamma(nu + 1)), 0.0
    i = mp.besseli(nu, x)
    return float(mp.log(i) - nu * mp.log(x)), float(mp.besseli(nu + 1, x) / i)


out["Bessel"] = [
    [nu, x, *von_mises(nu, x)]
    for nu in (0, 0.5, 1, 3.25, 7, 15.5, 16, 63, 255)
    for x in (0, 1e-3, 0.1, 1, 5, 20, 63, 300, 1e4, 1e5)
]


class VonMises(torch.autograd.Function):
    @staticmethod
    def forward(ctx, k, nu):
        pairs = [von_mises(nu, x) for x in k.flatten().tolist()]
        ctx.save_for_backward(torch.tensor([a for _, a in pairs]).reshape(k.shape))
        return torch.tensor([g for g, _ in pairs]).reshape(k.shape)

    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.saved_tensors[0], None


# ProCo: features of an epoch that is over, and of two batches of the next.
out["ProCo"] = []
for d, tau, weight in ((2, 0.1, 1.0), (7, 0.5, 0.4), (128, 0.1, 1.0)):
    centres = F.normalize(torch.randn(C, d), dim=1)
    labels = [torch.tensor([0, 0, 1, 1, 2, 3]), torch.tensor([0, 1, 2, 2, 3, 0]), y1]
    draw = lambda y: f32(F.normalize(centres[y] + 0.4 / d**0.5 * torch.randn(len(y), d), dim=1))
    old, first, last = draw(labels[0]), draw(labels[1]), torch.cat([draw(y1), draw(y1)])
    logits = f32(2 * torch.randn(N, C))
    seen = torch.cat([old, first, last])
    y = torch.cat([labels[0], labels[1], y1, y1])
    mean = torch.stack([seen[y == c].mean(0) for c in range(C)])
    r = mean.norm(dim=1)
    kappa = (r * (d - r**2) / (1 - r**2)).clamp(max=1e5)
    nu = d / 2 - 1
    base = VonMises.apply(kappa, nu)
    prior = torch.log(counts / counts.sum())

    def proco(logits, f):
        v = kappa[:, None] * F.normalize(mean, dim=1)
        z = VonMises.apply((v[None] + f[:, None] / tau).norm(dim=2), nu) - base
        a = F.cross_entropy(logits + prior, y1)
        b = [F.cross_entropy(part + prior, y1) for part in z.split(N)]
        return a + weight * sum(b) / len(b)

    out["ProCo"].append(
        {
            "Dims": d, "Tau": tau, "Weight": weight, "Labels": [l.tolist() for l in labels],
            "Old": flat(old), "First": flat(first), "Last": flat(last), "Logits": flat(logits),
            "Mean": flat(mean), "Kappa": kappa.tolist(), **case(proco, logits, last),
        }
    )

# 20 steps of the second stage of MiSLAS on 4 features that do not change: scales at the
# rate 0.1, the classifier at a fifth of it, both along a cosine.
x = f32(torch.randn(N, 4))
w, b, f = f32(torch.randn(C, 4) / 2), f32(torch.randn(C) / 2), torch.ones(C)
lo, hi = counts.min(), counts.max()
eps = 0.1 + (0.4 - 0.1) * torch.sin(torch.pi / 2 * (counts - lo) / (hi - lo))


def smoothing(z, y):
    logp = F.log_softmax(z, 1)
    return ((1 - eps[y]) * -logp.gather(1, y[:, None])[:, 0] + eps[y] * -logp.mean(1)).mean()


out["MiSLAS"] = {"X": flat(x), "Start": [flat(w), flat(b)]}
p = [t.clone().requires_grad_() for t in (w, b, f)]
opt = torch.optim.SGD([{"params": p[:2]}, {"params": p[2:]}], lr=0.1, momentum=0.9, weight_decay=2e-4)
values = []
for step in range(20):
    lr = 0.05 * (1 + float(mp.cos(mp.pi * step / 20)))
    opt.param_groups[0]["lr"], opt.param_groups[1]["lr"] = 0.2 * lr, lr
    loss = smoothing(p[2] * (x @ p[0].T + p[1]), y1)
    opt.zero_grad()
    loss.backward()
    opt.step()
    values.append(loss.item())
out["MiSLAS"]["Loss"], out["MiSLAS"]["End"] = values, [flat(t) for t in p]

with open("rivals.json", "w") as f:
    json.dump(out, f, separators=(",", ":"))
