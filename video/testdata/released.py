"""The Motion-Excited Sampler's loop, written down once more from its description, in
numpy and in the order and with the query count of the released code. It attacks an
analytic victim many times and writes the mean numbers of queries to released.json.

    python3 released.py > released.json
"""

import json

import numpy as np

T, C, H, W, K = 4, 3, 8, 10, 3
KAPPA, STEP, DELTA, EPSILON, ETA = 0.03, 0.025, 0.1, 0.1, 0.1
BUDGET, MARGIN = 3000, 0.25


def clip():
    i = np.arange(T * C * H * W)
    return (0.5 + 0.45 * np.sin(1.7 * i)).reshape(T, C, H, W)


def weights():
    c, t, ch, y, x = np.meshgrid(*map(np.arange, (K, T, C, H, W)), indexing="ij")
    moving = ((y >= 2) & (y < 6) & (x >= 3) & (x < 7)) * 1.0
    w = 0.3 * np.sin(2.1 * c + 1.3 * ch + 3.0 * moving) + 0.3 * np.sin(11.3 * c + 0.9 * ch + 2.7 * y + 4.1 * x)
    return (0.05 * w).reshape(K, -1)


def motion_map():
    """Vectors (x, y) per pixel: a square that moves by (3, -1)."""
    m = np.zeros((2, H, W), int)
    m[0, 2:6, 3:7], m[1, 2:6, 3:7] = 3, -1
    return m


def sparked(rng):
    r = rng.standard_normal((1, C, H, W))
    m = motion_map()
    m = m - m.min()
    return np.repeat(r[:, :, m[1], m[0]], T, axis=0)


def one_noise(rng):
    return np.repeat(rng.standard_normal((1, C, H, W)), T, axis=0)


def multi_noise(rng):
    return rng.standard_normal((T, C, H, W))


def attack(sampler, seed):
    """Returns the queries of the first success, or the budget."""
    rng = np.random.default_rng(seed)
    x0 = clip()
    w = weights()
    z = w @ (x0.reshape(-1) - 0.5)
    bias = -z
    bias[0] += MARGIN

    def probabilities(x):
        z = w @ (x.reshape(-1) - 0.5) + bias
        p = np.exp(z - z.max())
        return p / p.sum()

    def loss(p):
        return max(0.0, p.sum() - np.sort(p)[-2])

    def unit(v):
        n = np.sqrt((v**2).sum(axis=(1, 2, 3), keepdims=True))
        return v / np.where(n == 0, 1e-8, n)

    g = np.zeros_like(x0)
    x = x0.copy()
    queries = 0
    while queries < BUDGET:
        e = DELTA * sampler(rng)
        l1 = loss(probabilities(x + EPSILON * unit(g + e)))
        l2 = loss(probabilities(x + EPSILON * unit(g - e)))
        p = probabilities(x)
        queries += 3
        if p.argmax() != 0:
            return queries
        g = g + ETA * (l1 - l2) / (EPSILON * DELTA * DELTA) * e
        x = np.clip(np.clip(x - STEP * np.sign(g), x0 - KAPPA, x0 + KAPPA), 0, 1)
    return BUDGET


out = {}
for name, sampler, trials in [("sparked", sparked, 20000), ("one-noise", one_noise, 4000), ("multi-noise", multi_noise, 1500)]:
    q = np.array([attack(sampler, s) for s in range(trials)])
    out[name] = {"trials": trials, "mean": q.mean(), "standard error": q.std() / np.sqrt(trials), "successes": int((q < BUDGET).sum())}
print(json.dumps(out, indent=1))
