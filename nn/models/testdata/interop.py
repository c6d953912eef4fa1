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


class C3D(nn.Module):
    def __init__(self, classes):
        super().__init__()
        i, self.plan = 3, []
        for name, o in [("1", 64), ("2", 128), ("3a", 256), ("3b", 256), ("4a", 512), ("4b", 512), ("5a", 512), ("5b", 512)]:
            setattr(self, "conv" + name, nn.Conv3d(i, o, 3, padding=1))
            self.plan.append("conv" + name)
            i = o
        self.fc6, self.fc7, self.fc8 = nn.Linear(8192, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes)

    def forward(self, x):
        for name in self.plan:
            x = F.relu(getattr(self, name)(x))
            if name == "conv1":
                x = F.max_pool3d(x, (1, 2, 2))
            elif name == "conv5b":
                x = F.max_pool3d(x, 2, padding=(0, 1, 1))
            elif name[-1] in "2b":
                x = F.max_pool3d(x, 2)
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x.flatten(1))))))


def same(x, kernel, stride):
    """Pads as TensorFlow does: what is odd goes to the far end."""
    pad = []
    for n, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pad += [total // 2, total - total // 2]
    return F.pad(x, pad)


class Unit(nn.Module):
    def __init__(self, i, o, k, s=1):
        super().__init__()
        self.k, self.s = (k,) * 3, (s,) * 3
        self.conv3d = nn.Conv3d(i, o, k, s, bias=False)
        self.bn = nn.BatchNorm3d(o, eps=0.001, momentum=0.01)

    def forward(self, x):
        return F.relu(self.bn(self.conv3d(same(x, self.k, self.s))))


class Inception(nn.Module):
    def __init__(self, i, a, b, c, d, e, f):
        super().__init__()
        self.b0, self.b1a, self.b1b = Unit(i, a, 1), Unit(i, b, 1), Unit(b, c, 3)
        self.b2a, self.b2b, self.b3b = Unit(i, d, 1), Unit(d, e, 3), Unit(i, f, 1)

    def forward(self, x):
        pooled = F.max_pool3d(same(x, (3,) * 3, (1,) * 3), 3, 1)
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class I3D(nn.Module):
    def __init__(self, classes):
        super().__init__()
        pool = lambda k, s: lambda x: F.max_pool3d(same(x, k, s), k, s)
        self.Conv3d_1a_7x7, self.Conv3d_2b_1x1, self.Conv3d_2c_3x3 = Unit(3, 64, 7, 2), Unit(64, 64, 1), Unit(64, 192, 3)
        flat, deep = pool((1, 3, 3), (1, 2, 2)), pool((3, 3, 3), (2, 2, 2))
        self.order = [self.Conv3d_1a_7x7, flat, self.Conv3d_2b_1x1, self.Conv3d_2c_3x3, flat]
        i = 192
        for row in [("3b", 64, 96, 128, 16, 32, 32), ("3c", 128, 128, 192, 32, 96, 64), deep,
                    ("4b", 192, 96, 208, 16, 48, 64), ("4c", 160, 112, 224, 24, 64, 64), ("4d", 128, 128, 256, 24, 64, 64),
                    ("4e", 112, 144, 288, 32, 64, 64), ("4f", 256, 160, 320, 32, 128, 128), pool((2, 2, 2), (2, 2, 2)),
                    ("5b", 256, 160, 320, 32, 128, 128), ("5c", 384, 192, 384, 48, 128, 128)]:
            if callable(row):
                self.order.append(row)
                continue
            block = Inception(i, *row[1:])
            setattr(self, "Mixed_" + row[0], block)
            self.order.append(block)
            i = row[1] + row[3] + row[5] + row[6]
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(i, classes, 1)})

    def forward(self, x):
        for f in self.order:
            x = f(x)
        x = F.avg_pool3d(x, [min(a, b) for a, b in zip((2, 7, 7), x.shape[2:])], 1)
        return self.logits["conv3d"](x).mean((2, 3, 4))


class Bottleneck3d(nn.Module):
    def __init__(self, i, w, stride, time):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(i, w, (time, 1, 1), padding=(time // 2, 0, 0), bias=False), nn.BatchNorm3d(w)
        self.conv2, self.bn2 = nn.Conv3d(w, w, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False), nn.BatchNorm3d(w)
        self.conv3, self.bn3 = nn.Conv3d(w, 4 * w, 1, bias=False), nn.BatchNorm3d(4 * w)
        self.downsample = nn.Sequential(nn.Conv3d(i, 4 * w, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(4 * w)) if i != 4 * w else nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class I3DResNet50(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 64, (5, 7, 7), 2, (2, 3, 3), bias=False), nn.BatchNorm3d(64)
        i = 64
        for n, freq in enumerate(["111", "1010", "101010", "010"]):
            blocks = []
            for k, f in enumerate(freq):
                blocks.append(Bottleneck3d(i, 64 << n, 2 if n > 0 and k == 0 else 1, 3 if f == "1" else 1))
                i = 4 * (64 << n)
            setattr(self, "layer%d" % (n + 1), nn.Sequential(*blocks))
        self.fc = nn.Linear(i, classes)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.bn1(self.conv1(x))), (1, 3, 3), 2, (0, 1, 1))
        x = F.max_pool3d(self.layer1(x), (2, 1, 1))
        return self.fc(self.layer4(self.layer3(self.layer2(x))).mean((2, 3, 4)))


class TSN(nn.Module):
    """The mean of the logits of an image network over frames."""
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.state_dict, self.load_state_dict = net.state_dict, net.load_state_dict

    def forward(self, x):
        n, c, t, h, w = x.shape
        return self.net(x.transpose(1, 2).reshape(n * t, c, h, w)).view(n, t, -1).mean(1)


def torchvision_video(name):
    from torchvision.models import video
    return getattr(video, name)().eval()


MODELS = {
    "r3d18": lambda: torchvision_video("r3d_18"),
    "mc318": lambda: torchvision_video("mc3_18"),
    "r2plus1d18": lambda: torchvision_video("r2plus1d_18"),
    "c3d": lambda: C3D(487).eval(),
    "i3d": lambda: I3D(400).eval(),
    "i3d-resnet50": lambda: I3DResNet50(400).eval(),
    "tsn-resnet20": lambda: TSN(ResNet(3)).eval(),
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
