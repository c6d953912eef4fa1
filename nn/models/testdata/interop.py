"""Exchange weights with PyTorch by name, in both directions.

usage: interop.py FILE_FROM_GO INPUT.npy OUTPUT.npy FILE_TO_GO OUTPUT_TO_GO.npy MODEL

Loads FILE_FROM_GO into the PyTorch network MODEL (strictly, by name), writes its
logits for INPUT to OUTPUT; then draws new weights, writes them as safetensors to
FILE_TO_GO and their logits to OUTPUT_TO_GO.
"""
import json, struct, sys
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F

DTYPES = {"F32": np.float32, "I64": np.int64}


def read(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head, data, out = json.loads(raw[8:8 + n]), raw[8 + n:], {}
    for name, e in head.items():
        if name != "__metadata__":
            a, b = e["data_offsets"]
            out[name] = torch.from_numpy(np.frombuffer(data[a:b], DTYPES[e["dtype"]]).reshape(e["shape"]).copy())
    return out


def write(path, state):
    head, blobs, at = {}, [], 0
    for name, t in state.items():
        b = t.numpy().tobytes()
        head[name] = {"dtype": {torch.float32: "F32", torch.int64: "I64"}[t.dtype],
                      "shape": list(t.shape), "data_offsets": [at, at + len(b)]}
        blobs.append(b)
        at += len(b)
    h = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.stride, self.pad = stride, (o - i) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stage = lambda i, o, s: nn.Sequential(*[Block(i if k == 0 else o, o, s if k == 0 else 1) for k in range(blocks)])
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class VGG(nn.Module):
    def __init__(self, plan):
        super().__init__()
        layers, i = [], 3
        for o in plan:
            layers += [nn.MaxPool2d(2)] if o == "M" else [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]
            i = i if o == "M" else o
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(512, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def meta():
    spec = [(0, 1, 16, 3, 1, 1), (0, 16, 32, 4, 2, 1), (0, 32, 64, 4, 2, 1), (0, 64, 64, 4, 2, 1),
            (1, 64, 32, 3, 2, 0), (1, 32, 16, 4, 2, 1), (1, 16, 8, 4, 2, 1), (1, 8, 1, 3, 1, 1)]
    layers = []
    for n, (t, i, o, k, s, p) in enumerate(spec):
        layers.append((nn.ConvTranspose2d if t else nn.Conv2d)(i, o, k, s, p))
        if n < 7:
            layers += [nn.ReLU(), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers).train()  # batch statistics, always


MODELS = {
    "net4": lambda: nn.Sequential(nn.Conv2d(1, 128, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(128, 64, 3), nn.Tanh(), nn.MaxPool2d(2),
                                  nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10)).eval(),
    "resnet20": lambda: ResNet(3).eval(),
    "vgg11-32": lambda: VGG([64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]).eval(),
    "meta-mnist": meta,
}

from_go, inputs, outputs, to_go, outputs_to_go, name = sys.argv[1:]
torch.set_num_threads(1)
torch.manual_seed(7)
x = torch.from_numpy(np.load(inputs))
net = MODELS[name]()
net.load_state_dict(read(from_go), strict=True)
with torch.no_grad():
    np.save(outputs, net(x).numpy())
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.kaiming_normal_(p)
        else:
            p.uniform_(0.5, 1)
    for k, b in net.named_buffers():
        if b.dtype == torch.float32:
            b.uniform_(0.5, 1)
        else:
            b.fill_(12345)
    write(to_go, net.state_dict())
    np.save(outputs_to_go, net(x).numpy())
