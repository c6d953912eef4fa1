#!/usr/bin/python3
"""Writes steps_METHOD.safetensors: 20 steps of self-supervised methods in PyTorch.

Each file holds the weights at the beginning (start.*) and at the end (end.*), and the
losses. The batches are made by integers alone (pixels), so that a test makes the same.

usage: python3 steps.py DIRECTORY
"""
import copy, json, struct, sys
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

STEPS, N, SIDE = 20, 16, 8
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def noise(stream, count):
    h = (np.arange(count, dtype=np.uint64) * 2654435761 + stream * 40503 + 12345) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 2246822519) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 3266489917) & 0xFFFFFFFF
    return (h >> 24) & 255


def pixels(step, view):
    count = N * 3 * SIDE * SIDE
    blocks = noise(3 * step, count // 16).reshape(N, 3, SIDE // 4, SIDE // 4)  # of 4x4 pixels
    mix = 3 * blocks.repeat(4, 2).repeat(4, 3).reshape(-1) + noise(3 * step + 1 + view, count)
    return torch.from_numpy((mix.astype(np.float32) / np.float32(1020)).reshape(N, 3, SIDE, SIDE))


def encoder():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())


def perceptron(norm, *widths):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        last = i == len(widths) - 2
        normed = norm == "throughout" or norm == "inside" and not last
        layers.append(nn.Linear(a, b, bias=not normed))
        if normed:
            layers.append(nn.BatchNorm1d(b, affine=not last))
        if not last:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class Tower(nn.Module):
    def __init__(self, projector):
        super().__init__()
        self.encoder, self.projector = encoder(), projector

    def forward(self, x):
        return self.projector(self.encoder(x))


def slow(tower):
    c = copy.deepcopy(tower)
    for p in c.parameters():
        p.requires_grad = False
    return c


def move(average, tower, m):
    with torch.no_grad():
        for a, p in zip(average.parameters(), tower.parameters()):
            a.mul_(m).add_(p, alpha=1 - m)


class SimCLR(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = Tower(perceptron("inside", 8, 16, 8))

    def loss(self, a, b):
        z = F.normalize(self.tower(torch.cat([a, b])), dim=1)
        s = z @ z.t() / 0.5
        s.fill_diagonal_(float("-inf"))
        n = len(a)
        return F.cross_entropy(s, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))

    def after(self):
        pass


class MoCo(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = Tower(perceptron("", 8, 16, 8))
        self.keys = slow(self.tower)
        self.register_buffer("queue", F.normalize(torch.randn(48, 8), dim=1))
        self.at = 0

    def loss(self, a, b):
        q = F.normalize(self.tower(a), dim=1)
        with torch.no_grad():
            self.k = F.normalize(self.keys(b), dim=1)
        logits = torch.cat([(q * self.k).sum(1, keepdim=True), q @ self.queue.clone().t()], 1) / 0.2
        return F.cross_entropy(logits, torch.zeros(len(a), dtype=torch.long))

    def after(self):
        move(self.keys, self.tower, 0.9)
        self.queue[self.at:self.at + len(self.k)] = self.k
        self.at = (self.at + len(self.k)) % len(self.queue)


class BYOL(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = Tower(perceptron("inside", 8, 16, 8))
        self.predictor = perceptron("inside", 8, 16, 8)
        self.target = slow(self.tower)
        self.step = 0

    def loss(self, a, b):
        za, zb = self.tower(a), self.tower(b)
        with torch.no_grad():
            ta, tb = self.target(a), self.target(b)
        side = lambda p, t: (2 - 2 * F.cosine_similarity(p, t)).mean()
        return side(self.predictor(za), tb) + side(self.predictor(zb), ta)

    def after(self):
        move(self.target, self.tower, 1 - (1 - 0.9) * (np.cos(np.pi * self.step / 40) + 1) / 2)
        self.step += 1


class SimSiam(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = Tower(perceptron("throughout", 8, 16, 16))
        self.predictor = perceptron("inside", 16, 4, 16)

    def loss(self, a, b):
        za, zb = self.tower(a), self.tower(b)
        side = lambda z, t: F.cosine_similarity(self.predictor(z), t.detach()).mean()
        return -(side(za, zb) + side(zb, za)) / 2

    def after(self):
        pass


class Barlow(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = Tower(perceptron("inside", 8, 16, 16, 16))

    def loss(self, a, b):
        standard = lambda x: (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + 1e-5)
        c = standard(self.tower(a)).t() @ standard(self.tower(b)) / len(a)
        on = torch.diagonal(c)
        return ((1 - on) ** 2).sum() + 0.0051 * ((c ** 2).sum() - (on ** 2).sum())

    def after(self):
        pass


def state(m, prefix):
    out = {}
    for name, t in m.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            name = name.replace("tower.encoder.", "encoder.").replace("tower.projector.", "projector.")
            out[prefix + name] = t.detach().clone().float().numpy()
    return out


def write(path, tensors):
    header, at, blob = {}, 0, b""
    for name, t in tensors.items():
        b = np.ascontiguousarray(t, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + len(b)]}
        at += len(b)
        blob += b
    h = json.dumps(header).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + blob)


for name, make in (("simclr", SimCLR), ("moco2", MoCo), ("byol", BYOL), ("simsiam", SimSiam), ("barlow", Barlow)):
    torch.manual_seed(1)
    m = make().train()
    tensors = state(m, "start.")
    opt = torch.optim.SGD([p for p in m.parameters() if p.requires_grad], lr=0.05, momentum=0.9, weight_decay=1e-4)
    losses = []
    for step in range(STEPS):
        loss = m.loss(pixels(step, 0), pixels(step, 1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        m.after()
        losses.append(loss.item())
    tensors |= state(m, "end.")
    tensors["losses"] = np.array(losses)
    write(f"{sys.argv[1]}/steps_{name}.safetensors", tensors)
    print(name, losses[0], losses[-1])
