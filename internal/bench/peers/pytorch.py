#!/usr/bin/python3
"""Time PyTorch on the benchmark's cases: same names, same work.

Needs python3-torch, and python3-torchvision and python3-sklearn (Debian) for
longtail/loader and the cases under ssl/. For a fair opponent give it OpenBLAS (libopenblas0-pthread)
with the kernels of this processor, and keep glibc from returning memory at every
call, or page faults are timed:

  export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456
  OPENBLAS_CORETYPE=SKYLAKEX OPENBLAS_NUM_THREADS=2 OMP_NUM_THREADS=2 ./pytorch.py 2

(HASWELL where there is no AVX-512.) Prints one line per case: name, least and median
milliseconds. In fwdbwd a dense gradient is given, so that none is spent on making
one.

usage: pytorch.py [threads] [case-prefix] [seconds]
With 0 seconds every case runs once and its name alone is printed.
"""
import statistics, sys, time
import torch, torch.nn as nn, torch.nn.functional as F
import selfsup

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
PREFIX = sys.argv[2] if len(sys.argv) > 2 else ""
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
torch.set_num_threads(THREADS)
torch.manual_seed(0)


def bench(name, make):
    if not name.startswith(PREFIX):
        return
    run = make()
    run()
    if not SECONDS:
        print(name, flush=True)
        return
    run()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 5:
        t = time.perf_counter(); run(); times.append((time.perf_counter() - t) * 1e3)
    print(f"{name:56s} {min(times):10.3f} {statistics.median(times):10.3f}", flush=True)


def forward(op, *shapes):
    def make():
        xs = [torch.randn(*s) for s in shapes]

        def run():
            with torch.no_grad():
                op(*xs)
        return run
    return make


def backward(op, *shapes):
    def make():
        xs = [torch.randn(*s).requires_grad_() for s in shapes]
        dy = torch.randn_like(op(*xs))
        return lambda: torch.autograd.grad(op(*xs), xs, dy)
    return make


def pair(name, op, *shapes):
    bench(name + "/fwd", forward(op, *shapes))
    bench(name + "/fwdbwd", backward(op, *shapes))


def conv(name, n, c, o, groups, size, k, s, p):
    pair(name, lambda x, w: F.conv2d(x, w, stride=s, padding=p, groups=groups), (n, c, size, size), (o, c // groups, k, k))


def transposed(name, n, c, o, size, k, s, p):
    pair(name, lambda x, w: F.conv_transpose2d(x, w, stride=s, padding=p), (n, c, size, size), (c, o, k, k))


for n in (128, 512, 1024, 2048):
    bench(f"matmul/{n}", forward(torch.matmul, (n, n), (n, n)))
conv("conv2d/16x32x32", 128, 16, 16, 1, 32, 3, 1, 1)
conv("conv2d/32x16x16", 128, 32, 32, 1, 16, 3, 1, 1)
conv("conv2d/64x8x8", 128, 64, 64, 1, 8, 3, 1, 1)
conv("conv2d/64x56x56", 8, 64, 64, 1, 56, 3, 1, 1)
conv("conv2d/256x14x14", 8, 256, 256, 1, 14, 3, 1, 1)
conv("conv2d/256x56x56_1x1", 4, 256, 64, 1, 56, 1, 1, 0)
conv("conv2d/3x224x224_7x7s2", 8, 3, 64, 1, 224, 7, 2, 3)
bench("conv3d/64x8x28x28/fwd", forward(lambda x, w: F.conv3d(x, w, padding=1), (2, 64, 8, 28, 28), (64, 64, 3, 3, 3)))


def small_cnn():
    layers = []
    for i, o in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1568, 10))


def net4():
    return nn.Sequential(nn.Conv2d(1, 128, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(128, 64, 3), nn.Tanh(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10))


def conv_norm(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o))


class Residual(nn.Module):
    """Two convolutions and a shortcut that drops positions and adds empty channels."""

    def __init__(self, i, o):
        super().__init__()
        self.stride, self.more = (1 if i == o else 2), o - i
        self.a, self.b = conv_norm(i, o, self.stride), conv_norm(o, o)

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        if self.more:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(x + y)


def resnet32():
    widths = [16] * 6 + [32] * 5 + [64] * 5
    return nn.Sequential(conv_norm(3, 16), nn.ReLU(), *map(Residual, widths, widths[1:]),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def meta_attacker(widths, kernels, pads):
    """Four convolutions down and four transposed ones up; width, kernel, padding of each."""
    layers, half = [], len(kernels) // 2
    for k, (i, o) in enumerate(zip(widths, widths[1:])):
        stride = 2 if 0 < k < len(kernels) - 1 else 1
        layers += [(nn.Conv2d if k < half else nn.ConvTranspose2d)(i, o, kernels[k], stride, pads[k]), nn.ReLU(), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers[:-2])


def meta_mnist():
    return meta_attacker((1, 16, 32, 64, 64, 32, 16, 8, 1), (3, 4, 4, 4, 3, 4, 4, 3), (1, 1, 1, 1, 0, 1, 1, 1))


def meta_cifar():
    return meta_attacker((3, 32, 64, 128, 256, 128, 64, 32, 3), (3, 4, 4, 4, 4, 4, 4, 3), (1,) * 8)


def tiny3d():
    layers = []
    for i, o, then in ((3, 16, nn.MaxPool3d((1, 2, 2))), (16, 32, nn.MaxPool3d(2)), (32, 64, nn.AdaptiveAvgPool3d(1))):
        layers += [nn.Conv3d(i, o, 3, padding=1, bias=False), nn.BatchNorm3d(o), nn.ReLU(), then]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10))


def step(name, network, loss, target, optimiser, *shape):
    """Forward, backward, update."""
    def make():
        net, x = network().train(), torch.randn(shape)
        y, opt = target(x), optimiser(net.parameters())

        def run():
            opt.zero_grad()
            loss(net(x), y).backward()
            opt.step()
        return run
    bench(name, make)


def classify(name, network, *shape):
    step(name, network, F.cross_entropy, lambda x: torch.arange(len(x)) % 10,
         lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=2e-4), *shape)


def reconstruct(name, network, *shape):
    step(name, network, F.mse_loss, torch.randn_like, lambda p: torch.optim.Adam(p, lr=0.01), *shape)


def infer(name, network, *shape):
    bench(name, lambda: forward(network().eval(), shape)())


classify("train/smallcnn_b64", small_cnn, 64, 1, 28, 28)
classify("train/net4_b100", net4, 100, 1, 28, 28)
classify("train/resnet32_b128", resnet32, 128, 3, 32, 32)
reconstruct("train/meta_mnist_b100", meta_mnist, 100, 1, 28, 28)
reconstruct("train/meta_cifar_b64", meta_cifar, 64, 3, 32, 32)
reconstruct("train/meta_mnist_b1", meta_mnist, 1, 1, 28, 28)
classify("train/tiny3d_b8_16x32x32", tiny3d, 8, 3, 16, 32, 32)
infer("infer/net4_b256", net4, 256, 1, 28, 28)
infer("infer/net4_b1", net4, 1, 1, 28, 28)
infer("infer/resnet32_b256", resnet32, 256, 3, 32, 32)
infer("infer/tiny3d_b4_16x112x112", tiny3d, 4, 3, 16, 112, 112)


def retention(old, new, tau=0.1):
    """The memory-retentive loss of package longtail, variant graph."""
    o, g = F.normalize(old), F.normalize(new)
    a = F.softmax(o @ o.t() / tau, 1)
    return (a * (2 - 2 * o @ g.t())).sum() / len(o)


def phase_two():
    student = resnet32().train()
    student[-1] = nn.Linear(64, 100)
    teacher = resnet32()[:-1].eval()
    x, y = torch.randn(128, 3, 32, 32), torch.arange(128) % 100
    opt = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def run():
        opt.zero_grad()
        with torch.no_grad():
            old = teacher(x)
        features = student[:-1](x)
        (F.cross_entropy(student[-1](features), y) + retention(old, features)).backward()
        opt.step()
    return run


def retained():
    old, new = torch.randn(128, 64), torch.randn(128, 64).requires_grad_()
    return lambda: torch.autograd.grad(retention(old, new), new)


def loader():
    """An epoch of 21 batches of 128, prepared by as many processes as there are threads."""
    from torchvision import transforms as T
    from PIL import Image
    third = (1 / 3,) * 3

    def cutout(x):
        y, z = torch.randint(32, (2,)).tolist()
        x[:, max(y - 8, 0):y + 8, max(z - 8, 0):z + 8] = 0
        return x

    class Pictures(torch.utils.data.Dataset):
        pixels = torch.randint(256, (2723, 32, 32, 3), dtype=torch.uint8).numpy()
        then = T.Compose([T.RandomCrop(32, 4), T.RandomHorizontalFlip(), T.AutoAugment(T.AutoAugmentPolicy.CIFAR10),
                          T.ToTensor(), T.Normalize(third, third), cutout])

        def __len__(self):
            return len(self.pixels)

        def __getitem__(self, i):
            return self.then(Image.fromarray(self.pixels[i])), 0

    batches = torch.utils.data.DataLoader(Pictures(), 128, shuffle=True, drop_last=True, num_workers=THREADS, persistent_workers=True)

    def run():
        for _ in batches:
            pass
    return run


def herd(n, d):
    """The order in which iCaRL takes all samples."""
    x = F.normalize(torch.randn(n, d))

    def run():
        mean, total, taken = x.mean(0), torch.zeros(d), torch.zeros(n)
        scores = torch.empty(n)
        order = []
        for k in range(n):
            p = (k + 1) * mean - total
            torch.mv(x, p, out=scores)  # rows have length 1, so the nearest has the largest product
            i = int(scores.add_(taken).argmax())
            taken[i] = float("-inf")
            total += x[i]
            order.append(i)
        return order
    return run


bench("longtail/phase2_resnet32_b128", phase_two)
bench("longtail/retention_128x64/fwdbwd", retained)
bench("longtail/loader_21x128", loader)
bench("longtail/herd_500x64", lambda: herd(500, 64))
bench("longtail/herd_5000x512", lambda: herd(5000, 512))

for b in (1, 8, 100):
    bench(f"extra/matmul/linear_{b}x128x1600", forward(lambda x, w: x @ w.t(), (b, 1600), (128, 1600)))
    bench(f"extra/matmul/linear_{b}x10x128", forward(lambda x, w: x @ w.t(), (b, 128), (10, 128)))
    bench(f"extra/matmul/linear_dx_{b}x1600x128", forward(torch.matmul, (b, 128), (128, 1600)))
    bench(f"extra/matmul/linear_dw_128x1600x{b}", forward(lambda a, x: a.t() @ x, (b, 128), (b, 1600)))
bench("extra/matmul/square_64x64x64", forward(torch.matmul, (64, 64), (64, 64)))
bench("extra/matmul/narrow_4096x16x64", forward(torch.matmul, (4096, 64), (64, 16)))
bench("extra/matmul/gram_256x256x4096", forward(lambda a, b: a @ b.t(), (256, 4096), (256, 4096)))
bench("extra/matmul/transA_1024x1024x1024", forward(lambda a, b: a.t() @ b, (1024, 1024), (1024, 1024)))
bench("extra/matmul/transB_1024x1024x1024", forward(lambda a, b: a @ b.t(), (1024, 1024), (1024, 1024)))
bench("extra/matmul/odd_1023x1021x1019", forward(torch.matmul, (1023, 1019), (1019, 1021)))

conv("extra/conv2d/depthwise_64x56x56", 8, 64, 64, 64, 56, 3, 1, 1)
conv("extra/conv2d/depthwise_128x14x14", 8, 128, 128, 128, 14, 3, 1, 1)
conv("extra/conv2d/depthwise_256x7x7", 8, 256, 256, 256, 7, 3, 1, 1)
conv("extra/conv2d/depthwise_s2_64x56x56", 8, 64, 64, 64, 56, 3, 2, 1)
conv("extra/conv2d/3x3s2_32x32x32", 100, 32, 64, 1, 32, 3, 2, 1)
conv("extra/conv2d/5x5s2_32x32x32", 32, 32, 64, 1, 32, 5, 2, 2)
conv("extra/conv2d/4x4s2_64x16x16", 64, 64, 128, 1, 16, 4, 2, 1)
conv("extra/conv2d/1x1s2_64x56x56", 8, 64, 128, 1, 56, 1, 2, 0)
conv("extra/conv2d/1x1_512x7x7", 8, 512, 128, 1, 7, 1, 1, 0)
conv("extra/conv2d/1x1_512x7x7_b1", 1, 512, 128, 1, 7, 1, 1, 0)
conv("extra/conv2d/batch1_64x56x56", 1, 64, 64, 1, 56, 3, 1, 1)
conv("extra/conv2d/batch1_16x32x32", 1, 16, 16, 1, 32, 3, 1, 1)
conv("extra/conv2d/odd_17x31x31", 16, 17, 19, 1, 31, 3, 1, 1)
for name, n, c, o, size in (("64x8x28x28", 2, 64, 64, (8, 28, 28)), ("3x16x112x112", 4, 3, 16, (16, 112, 112))):
    pair("extra/conv3d/" + name, lambda x, w: F.conv3d(x, w, padding=1), (n, c, *size), (o, c, 3, 3, 3))
transposed("extra/conv2d/transposed4x4s2_128x8x8", 64, 128, 64, 8, 4, 2, 1)

for net, batch, down, up in (
        ("mnist", 100, ((16, 32, 28, 4, 1), (32, 64, 14, 4, 1), (64, 64, 7, 4, 1)),
         ((64, 32, 3, 3, 0), (32, 16, 7, 4, 1), (16, 8, 14, 4, 1))),
        ("cifar", 64, ((32, 64, 32, 4, 1), (64, 128, 16, 4, 1), (128, 256, 8, 4, 1)),
         ((256, 128, 4, 4, 1), (128, 64, 8, 4, 1), (64, 32, 16, 4, 1)))):
    for b in (batch, 1):
        for c, o, size, k, p in down:
            conv(f"extra/meta/{net}_b{b}/conv{k}x{k}s2_{c}x{size}x{size}", b, c, o, 1, size, k, 2, p)
        for c, o, size, k, p in up:
            transposed(f"extra/meta/{net}_b{b}/transposed{k}x{k}s2_{c}x{size}x{size}", b, c, o, size, k, 2, p)

pair("extra/pool/max3s2_64x112x112", lambda x: F.max_pool2d(x, 3, 2, 1), (8, 64, 112, 112))
pair("extra/pool/avg2_64x56x56", lambda x: F.avg_pool2d(x, 2), (8, 64, 56, 56))
pair("extra/pool/avg3s1_64x56x56", lambda x: F.avg_pool2d(x, 3, 1, 1), (8, 64, 56, 56))


def grid(name):
    n, c, size = 8, 16, 112
    at = (2 * torch.arange(size) + 1) / size - 1
    points = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).expand(n, -1, -1, -1)

    def op(x, r):
        return F.grid_sample(x, r, align_corners=False)

    def make(back):
        def make():
            x, r = torch.randn(n, c, size, size), (points + torch.rand(n, size, size, 2) * 2 / size).contiguous()
            if not back:
                def run():
                    with torch.no_grad():
                        op(x, r)
                return run
            xs = [x.requires_grad_(), r.requires_grad_()]
            dy = torch.randn(n, c, size, size)
            return lambda: torch.autograd.grad(op(*xs), xs, dy)
        return make
    bench(name + "/fwd", make(False))
    bench(name + "/fwdbwd", make(True))


grid("extra/grid/16x112x112")
pair("extra/resize/bilinear2_64x56x56",
     lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), (8, 64, 56, 56))
mean, var = torch.zeros(64), torch.ones(64)
pair("extra/norm/batch_64x32x32", lambda x, g, b: F.batch_norm(x, mean, var, g, b, True), (32, 64, 32, 32), (64,), (64,))
bench("extra/rows/softmax_128x1000/fwd", forward(lambda x: F.softmax(x, 1), (128, 1000)))
bench("extra/rows/logsoftmax_128x1000/fwd", forward(lambda x: F.log_softmax(x, 1), (128, 1000)))


def cross_entropy():
    x, labels = torch.randn(128, 1000).requires_grad_(), torch.arange(128)
    return lambda: torch.autograd.grad(F.cross_entropy(x, labels), x)


bench("extra/rows/crossentropy_128x1000/fwdbwd", cross_entropy)
N = 8600000
bench("extra/array/add", forward(torch.add, (N,), (N,)))
bench("extra/array/relu", forward(F.relu, (N,)))
bench("extra/array/exp", forward(torch.exp, (N,)))
bench("extra/array/sum", forward(torch.sum, (N,)))
selfsup.add(bench, resnet32, THREADS)
