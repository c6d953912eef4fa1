#!/usr/bin/python3
"""The Meta Attack on MNIST in PyTorch, to time ours against: same victim, same
meta attacker, same images, same loop; q coordinates go as one batch.

Needs python3-torch. Weights are safetensors as examples/train writes them, images
IDX files. Prints, for each image, success, queries, L2 and seconds, and their means.

usage: meta_attack.py THREADS VICTIM.safetensors META.safetensors IMAGES.idx3.gz LABELS.idx1.gz N
"""
import copy, gzip, json, struct, sys, time

import numpy as np
import torch
import torch.nn as nn

threads, victim_file, meta_file, images_file, labels_file, count = int(sys.argv[1]), *sys.argv[2:6], int(sys.argv[6])
torch.set_num_threads(threads)


def load(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    types = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    out = {}
    for name, t in head.items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            a = np.frombuffer(raw[8 + n + lo:8 + n + hi], types[t["dtype"]]).reshape(t["shape"])
            out[name] = torch.from_numpy(a.astype(np.float32) if t["dtype"] == "F16" else a.copy())
    return out


victim = nn.Sequential(nn.Conv2d(1, 128, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(128, 64, 3), nn.Tanh(), nn.MaxPool2d(2),
                       nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10))
victim.load_state_dict(load(victim_file))
victim.eval()

layers = []
spec = [(0, 1, 16, 3, 1, 1), (0, 16, 32, 4, 2, 1), (0, 32, 64, 4, 2, 1), (0, 64, 64, 4, 2, 1),
        (1, 64, 32, 3, 2, 0), (1, 32, 16, 4, 2, 1), (1, 16, 8, 4, 2, 1), (1, 8, 1, 3, 1, 1)]
for k, (t, i, o, size, stride, pad) in enumerate(spec):
    layers.append((nn.ConvTranspose2d if t else nn.Conv2d)(i, o, size, stride, pad))
    if k < len(spec) - 1:
        layers += [nn.ReLU(), nn.BatchNorm2d(o)]
attacker = nn.Sequential(*layers)
attacker.load_state_dict(load(meta_file))
attacker.train()  # batch statistics, always

images = np.frombuffer(gzip.open(images_file).read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
labels = np.frombuffer(gzip.open(labels_file).read(), np.uint8, offset=8)

Q, M, BETA, H, TUNE, STEPS = 128, 5, 0.01, 1e-4, 20, 300


def hinge(z, y):  # in float64, of logits
    z = z.double()
    rival = z.clone()
    rival[:, y] = -float("inf")
    return 0.5 * (z[:, y] - rival.max(1).values).clamp_min(0)


def attack(x0, y):
    net = copy.deepcopy(attacker)
    w, x, queries, chosen = torch.zeros_like(x0), x0.clone(), 0, None
    for t in range(STEPS + 1):
        with torch.inference_mode():
            z = victim(x)
        queries += 1
        if z.argmax(1).item() != y:
            return True, queries, (x - x0).norm().item()
        if t == STEPS:
            return False, queries, (x - x0).norm().item()
        if (t + 1) % M == 0:
            base = hinge(z, y)
            probe = x.repeat(Q, 1, 1, 1).view(Q, -1)
            at = probe[torch.arange(Q), chosen]
            moved = torch.where(at + H > 1, at - H, at + H)
            probe[torch.arange(Q), chosen] = moved
            with torch.inference_mode():
                f = hinge(victim(probe.view(Q, 1, 28, 28)), y)
            queries += Q
            g = torch.zeros(784, dtype=torch.float64)
            g[chosen] = (f - base) / (moved.double() - at.double())
            if g.std(unbiased=False) > 0:
                g = (g / (g.std(unbiased=False) + 1e-23)).float()
                opt = torch.optim.Adam(net.parameters(), lr=0.01)
                for _ in range(TUNE):
                    opt.zero_grad()
                    ((net(x).view(-1)[chosen] - g[chosen]) ** 2).mean().backward()
                    opt.step()
                with torch.no_grad():
                    chosen = net(x).view(-1).abs().topk(Q).indices
                keep = torch.zeros(784)
                keep[chosen] = 1
                u = g * keep
            else:
                with torch.no_grad():
                    u = net(x).view(-1)
                chosen = u.abs().topk(Q).indices
                keep = torch.zeros(784)
                keep[chosen] = 1
                u = u * keep
        else:
            with torch.no_grad():
                u = net(x).view(-1)
            chosen = u.abs().topk(Q).indices
            keep = torch.zeros(784)
            keep[chosen] = 1
            u = u * keep
        w = w - BETA * (u / (u.abs() + 1e-8)).view_as(w)
        w = torch.minimum(torch.maximum(w, -x0), 1 - x0)
        x = x0 + w


rows = []
for i in range(len(labels)):
    if len(rows) == count:
        break
    x = torch.from_numpy(images[i:i + 1].astype(np.float32) / 255)
    with torch.inference_mode():
        if victim(x).argmax(1).item() != labels[i]:
            continue
    start = time.perf_counter()
    ok, queries, l2 = attack(x, int(labels[i]))
    rows.append((ok, queries, l2, time.perf_counter() - start))
    print(f"{i} {int(ok)} {queries} {l2:.4f} {rows[-1][3]:.4f}", flush=True)
r = np.array(rows, float)
print(f"mean of {len(r)}: success {r[:, 0].mean():.3f} queries {r[:, 1].mean():.1f} L2 {r[:, 2].mean():.4f} seconds {r[:, 3].mean():.4f} "
      f"ms/query {1e3 * r[:, 3].sum() / r[:, 1].sum():.4f}")
