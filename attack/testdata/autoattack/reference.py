"""An independent implementation of AutoAttack in PyTorch, from the papers: Croce and Hein,
ICML 2020 (APGD, the DLR loss, the ensemble; FAB), Croce and Hein, 2021 (L1), Andriushchenko
et al., 2020 (Square). Linf and L2.

  reference.py golden                    writes golden.json, which the Go tests read
  reference.py run WEIGHTS IMAGES LABELS EPS [N] [NORM]
                                         attacks net6 or net4 (safetensors of examples/train;
                                         IDX files), and prints accuracy and seconds a stage

Needs PyTorch and numpy.
"""
import json, math, os, struct, sys, time
import numpy as np
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))


# --- losses that are to grow, a value for each sample

def cross_entropy(z, y, t=None):
    return nn.functional.cross_entropy(z, y, reduction="none")


def dlr(z, y, t=None):
    top = z.topk(min(4, z.shape[1]), 1).values
    own = z.gather(1, y[:, None])[:, 0]
    if t is None:
        other = z.masked_fill(nn.functional.one_hot(y, z.shape[1]).bool(), -math.inf).max(1).values
        return -(own - other) / (top[:, 0] - top[:, 2] + 1e-12)
    return -(own - z.gather(1, t[:, None])[:, 0]) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


# --- APGD

def flat(x):
    return x.flatten(1)


def shaped(v, x):
    return v.view(-1, *[1] * (x.dim() - 1))


def project(z, x, eps, norm):
    """The nearest point of ball and box."""
    if norm == "Linf":
        return torch.minimum(torch.maximum(z, x - eps), x + eps).clamp(0, 1)
    d = z - x
    inside = flat(z.clamp(0, 1) - x).norm(dim=1) <= eps
    lo, hi = torch.zeros(len(x), dtype=x.dtype), torch.ones(len(x), dtype=x.dtype)
    for _ in range(60):
        mid = (lo + hi) / 2
        far = flat((x + shaped(mid, x) * d).clamp(0, 1) - x).norm(dim=1) > eps
        lo, hi = torch.where(far, lo, mid), torch.where(far, mid, hi)
    f = torch.where(inside, torch.ones_like(lo), lo)
    return (x + shaped(f, x) * d).clamp(0, 1)


def checkpoints(n):
    """After which iterations the step may be halved (section 3.1, with integer parts)."""
    at, period = [], max(22 * n // 100, 1)
    end = period
    while end <= n:
        at.append(end)
        period = max(period - max(3 * n // 100, 1), max(6 * n // 100, 1))
        end += period
    return at


def apgd(model, x, y, loss, eps, norm, start, n=100, t=None, rho=0.75, trace=None):
    """Returns which samples were broken on the way."""
    def look(z):
        z = z.detach().requires_grad_()
        out = model(z)
        f = loss(out, y, t)
        return f.detach(), torch.autograd.grad(f.sum(), z)[0], out.argmax(1) != y

    now = start
    f, g, broken = look(now)
    best, best_f, best_g = now.clone(), f.clone(), g.clone()
    size = torch.full((len(x),), 2 * eps, dtype=x.dtype)
    old, then_f, halved = now, best_f.clone(), torch.ones(len(x), dtype=torch.bool)
    losses, last = [f], 0
    marks = set(checkpoints(n))
    for i in range(1, n + 1):
        u = g.sign() if norm == "Linf" else g / shaped(flat(g).norm(dim=1) + 1e-12, x)
        z = project(now + shaped(size, x) * u, x, eps, norm)
        if i > 1:
            z = project(now + 0.75 * (z - now) + 0.25 * (now - old), x, eps, norm)
        old, now = now, z
        f, g, wrong = look(now)
        broken |= wrong
        losses.append(f)
        better = f > best_f
        best_f = torch.where(better, f, best_f)
        best, best_g = torch.where(shaped(better, x), now, best), torch.where(shaped(better, x), g, best_g)
        if trace is not None:
            trace.append([float(f.sum()), float(size[0])])
        if i in marks:
            rises = sum((losses[j] > losses[j - 1]).int() for j in range(last + 1, i + 1))
            halve = (rises <= rho * (i - last)) | (~halved & (best_f <= then_f))
            size = torch.where(halve, size / 2, size)
            now, g = torch.where(shaped(halve, x), best, now), torch.where(shaped(halve, x), best_g, g)
            last, then_f, halved = i, best_f.clone(), halve
            if trace is not None:
                trace[-1].append(bool(halve[0]))
    return broken


def scattered(x, eps, norm, r):
    if norm == "Linf":
        u = torch.rand(x.shape, generator=r, dtype=x.dtype) * 2 - 1
        u = u / shaped(flat(u).abs().max(1).values, x)
    else:
        u = torch.randn(x.shape, generator=r, dtype=x.dtype)
        u = u / shaped(flat(u).norm(dim=1), x)
    return (x + eps * u).clamp(0, 1)


# --- FAB

def to_plane(x, w, gap, norm):
    """The least displacement in [0,1] with w·d = gap, by bisection; rows."""
    s = gap.sign()[:, None] * w.sign()
    room = torch.where(s > 0, 1 - x, x) * (s != 0)
    a = w.abs()
    pace = (a > 0).to(x.dtype) if norm == "Linf" else a
    lo = torch.zeros(len(x), dtype=x.dtype)
    hi = (room / pace.clamp_min(1e-30) * (pace > 0)).max(1).values
    for _ in range(60):
        mid = (lo + hi) / 2
        short = (a * torch.minimum(mid[:, None] * pace, room)).sum(1) < gap.abs()
        lo, hi = torch.where(short, mid, lo), torch.where(short, hi, mid)
    return s * torch.minimum(hi[:, None] * pace, room)


def fab_targeted(model, x, y, t, eps, norm, n=100):
    x0, now = flat(x), flat(x).clone()
    size = lambda d: d.abs().max(1).values if norm == "Linf" else d.norm(dim=1)
    nearest = torch.full((len(x),), math.inf)
    for _ in range(n):
        z = now.view_as(x).requires_grad_()
        out = model(z)
        m = out.gather(1, y[:, None])[:, 0] - out.gather(1, t[:, None])[:, 0]
        w = flat(torch.autograd.grad(m.sum(), z)[0])
        m = m.detach()
        d1 = to_plane(now, w, -m, norm)
        d2 = to_plane(x0, w, -m + (w * (now - x0)).sum(1), norm)
        a1, a2 = size(d1).clamp_min(1e-8), size(d2).clamp_min(1e-8)
        alpha = (a1 / (a1 + a2)).clamp_max(0.1)[:, None]
        now = ((now + 1.05 * d1) * (1 - alpha) + (x0 + 1.05 * d2) * alpha).clamp(0, 1).detach()
        with torch.no_grad():
            won = model(now.view_as(x)).argmax(1) != y
        nearest = torch.where(won, torch.minimum(nearest, size(now - x0)), nearest)
        now = torch.where(won[:, None], x0 + 0.9 * (now - x0), now)
    return nearest <= eps


# --- Square

def square_linf(model, x, y, eps, r, n=5000, p0=0.8):
    def margin(z):
        out = model(z)
        own = out.gather(1, y_left[:, None])[:, 0]
        return own - out.masked_fill(nn.functional.one_hot(y_left, out.shape[1]).bool(), -math.inf).max(1).values

    count, c, h, w = x.shape
    left, y_left = torch.arange(count), y
    signs = lambda *s: torch.randint(0, 2, s, generator=r).to(x.dtype) * 2 - 1
    with torch.no_grad():
        clean = x
        best = (x + eps * signs(count, c, 1, w)).clamp(0, 1)
        f = margin(best)
        for i in range(n):
            keep = f > 0
            left, y_left, clean, best, f = left[keep], y_left[keep], clean[keep], best[keep], f[keep]
            if len(left) == 0:
                break
            p = p0 / 2 ** sum(i > a for a in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))
            side = max(round(math.sqrt(p * h * w)), 1)
            side = min(side, h - 1)
            top, at = (int(torch.randint(0, h - side + 1, (1,), generator=r)) for _ in range(2))
            z = best.clone()
            z[:, :, top:top + side, at:at + side] = (clean[:, :, top:top + side, at:at + side] + eps * signs(len(left), c, 1, 1)).clamp(0, 1)
            g = margin(z)
            better = g < f
            best, f = torch.where(shaped(better, x), z, best), torch.where(better, g, f)
    broken = torch.ones(count, dtype=torch.bool)
    broken[left[f > 0]] = False
    return broken


# --- the ensemble

def standard(model, x, y, eps, norm, batch=250, report=print):
    r = torch.Generator().manual_seed(0)
    with torch.no_grad():
        scores = torch.cat([model(b) for b in x.split(batch)])
    order = scores.masked_fill(nn.functional.one_hot(y, scores.shape[1]).bool(), -math.inf).argsort(1, descending=True)
    stands = scores.argmax(1) == y
    accuracies = {"clean": float(stands.double().mean())}

    def stage(name, attack):
        began = time.process_time()
        for part in stands.nonzero()[:, 0].split(batch):
            stands[part] = ~attack(part)
        accuracies[name] = float(stands.double().mean())
        report(f"after {name}: {100 * accuracies[name]:.2f} % ({time.process_time() - began:.1f} CPU seconds)", flush=True)

    def ce(i):
        return apgd(model, x[i], y[i], cross_entropy, eps, norm, scattered(x[i], eps, norm, r))

    def each(attack):
        def run(i):
            broken = torch.zeros(len(i), dtype=torch.bool)
            for k in range(min(9, scores.shape[1] - 1)):
                j = (~broken).nonzero()[:, 0]
                if len(j):
                    broken[j] = attack(i[j], order[i[j], k])
            return broken
        return run

    stage("apgd-ce", ce)
    stage("apgd-t", each(lambda i, t: apgd(model, x[i], y[i], dlr, eps, norm, scattered(x[i], eps, norm, r), t=t)))
    stage("fab-t", each(lambda i, t: fab_targeted(model, x[i], y[i], t, eps, norm)))
    if norm == "Linf":
        stage("square", lambda i: square_linf(model, x[i], y[i], eps, r))
    return accuracies


def safetensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    kinds = {"F32": np.float32, "F16": np.float16}
    out = {}
    for name, v in head.items():
        if name != "__metadata__":
            a, b = v["data_offsets"]
            out[name] = torch.from_numpy(np.frombuffer(raw[8 + n + a:8 + n + b], kinds[v["dtype"]]).astype(np.float32).reshape(v["shape"]))
    return out


def network(path):
    state = safetensors(path)
    if state["0.weight"].shape[0] == 32:
        layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3),
                  nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 200), nn.ReLU(), nn.Dropout(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)]
    else:
        layers = [nn.Conv2d(1, 128, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(128, 64, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10)]
    net = nn.Sequential(*layers)
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)


def idx(path):
    import gzip
    raw = (gzip.open if path.endswith(".gz") else open)(path, "rb").read()
    rank = raw[3]
    dims = struct.unpack(">" + "I" * rank, raw[4:4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(dims)


def golden():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    rows = {}
    z = torch.randn(12, 6) * 3
    z[:4] *= 1e-3
    z[4:6] *= 1e4
    y = torch.arange(12) % 6
    t = (y + 1 + torch.arange(12) // 6) % 6
    for name, target in (("dlr", None), ("dlr-targeted", t)):
        w = z.clone().requires_grad_()
        f = dlr(w, y, target)
        g = torch.autograd.grad(f.sum(), w)[0]
        rows[name] = {"logits": z.tolist(), "label": y.tolist(), "target": None if target is None else t.tolist(), "value": f.tolist(), "gradient": g.tolist()}
    rows["checkpoints"] = {str(n): checkpoints(n) for n in (1, 7, 20, 50, 100, 1000)}
    # A network of 16 pixels whose loss is smooth.
    a, b = torch.randn(24, 16) * 0.9, torch.randn(4, 24)
    model = lambda x: torch.tanh((flat(x) - 0.5) @ a.T) @ b.T
    x = 0.2 + 0.6 * torch.rand(1, 1, 4, 4)
    y = model(x).argmax(1)
    rows["apgd"] = {"a": a.tolist(), "b": b.tolist(), "x": flat(x)[0].tolist(), "y": int(y[0]), "runs": []}
    for norm, eps in (("L2", 0.1), ("Linf", 0.03), ("L2", 0.9)):
        for loss in (cross_entropy, dlr):
            for target in (None, (y + 1) % 4):
                if loss is cross_entropy and target is not None:
                    continue
                trace = []
                start = project(x + eps, x, eps, norm)
                broken = apgd(model, x, y, loss, eps, norm, start, t=target, trace=trace)
                rows["apgd"]["runs"].append({"norm": norm, "eps": eps, "loss": loss.__name__, "target": -1 if target is None else int(target[0]),
                                             "broken": bool(broken[0]), "trace": trace})
    with open(os.path.join(HERE, "golden.json"), "w") as f:
        json.dump(rows, f)


def main():
    if sys.argv[1] == "golden":
        return golden()
    _, _, weights, images, labels, eps, *rest = sys.argv
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    n = int(rest[0]) if rest else 1000
    x = torch.from_numpy(idx(images)[:n].astype(np.float32) / 255)[:, None]
    y = torch.from_numpy(idx(labels)[:n].astype(np.int64))
    began, cpu = time.time(), time.process_time()
    print(standard(network(weights), x, y, float(eps), rest[1] if len(rest) > 1 else "Linf"))
    print(f"{time.time() - began:.1f} s, {time.process_time() - cpu:.1f} CPU seconds")


if __name__ == "__main__":
    main()
