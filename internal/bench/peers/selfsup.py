"""Self-supervised steps, their augmentations and t-SNE, for pytorch.py.

Needs python3-torchvision and python3-sklearn beside python3-torch.
"""
import copy
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F


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


def slow(tower):
    c = copy.deepcopy(tower)
    for p in c.parameters():
        p.requires_grad = False
    return c


@torch.no_grad()
def move(average, tower, m):
    for a, p in zip(average.parameters(), tower.parameters()):
        a.mul_(m).add_(p, alpha=1 - m)


def simclr(encoder):
    tower = nn.Sequential(encoder, perceptron("inside", 64, 64, 128))
    labels = torch.cat([torch.arange(128, 256), torch.arange(128)])

    def loss(a, b):
        z = F.normalize(tower(torch.cat([a, b])), dim=1)
        return F.cross_entropy((z @ z.t() / 0.5).fill_diagonal_(float("-inf")), labels)
    return [tower], loss, lambda: None


def moco(encoder):
    tower = nn.Sequential(encoder, perceptron("", 64, 64, 128))
    keys, queue, at = slow(tower), F.normalize(torch.randn(4096, 128), dim=1), [0, None]

    def loss(a, b):
        q = F.normalize(tower(a), dim=1)
        with torch.no_grad():
            k = at[1] = F.normalize(keys(b), dim=1)
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.t()], 1) / 0.2
        return F.cross_entropy(logits, torch.zeros(len(a), dtype=torch.long))

    def after():
        move(keys, tower, 0.99)
        queue[at[0]:at[0] + 128] = at[1]
        at[0] = (at[0] + 128) % 4096
    return [tower], loss, after


def byol(encoder):
    tower, predictor = nn.Sequential(encoder, perceptron("inside", 64, 512, 128)), perceptron("inside", 128, 512, 128)
    target = slow(tower)

    def loss(a, b):
        with torch.no_grad():
            ta, tb = target(a), target(b)
        side = lambda x, t: (2 - 2 * F.cosine_similarity(predictor(tower(x)), t)).mean()
        return side(a, tb) + side(b, ta)
    return [tower, predictor], loss, lambda: move(target, tower, 0.996)


def simsiam(encoder):
    tower, predictor = nn.Sequential(encoder, perceptron("throughout", 64, 256, 256)), perceptron("inside", 256, 64, 256)

    def loss(a, b):
        za, zb = tower(a), tower(b)
        side = lambda z, t: F.cosine_similarity(predictor(z), t.detach()).mean()
        return -(side(za, zb) + side(zb, za)) / 2
    return [tower, predictor], loss, lambda: None


def barlow(encoder):
    tower = nn.Sequential(encoder, perceptron("inside", 64, 1024, 1024, 1024))
    norm = nn.BatchNorm1d(1024, affine=False)

    def loss(a, b):
        c = norm(tower(a)).t() @ norm(tower(b)) / 128
        on = torch.diagonal(c)
        off = c.flatten()[:-1].view(1023, 1025)[:, 1:]
        return (on - 1).pow(2).sum() + 0.0051 * off.pow(2).sum()
    return [tower], loss, lambda: None


def step(network, method):
    def make():
        encoder = network().train()[:-1]
        modules, loss, after = method(encoder)
        opt = torch.optim.SGD([p for m in modules for p in m.parameters()], lr=0.03, momentum=0.9, weight_decay=5e-4)
        a, b = torch.randn(128, 3, 32, 32), torch.randn(128, 3, 32, 32)

        def run():
            opt.zero_grad()
            loss(a, b).backward()
            opt.step()
            after()
        return run
    return make


def augment(n, size, strength, scale, blur):
    """On PIL's images, which are faster than tensors here."""
    def make():
        from PIL import Image
        import torchvision.transforms as T
        rng = np.random.RandomState(0)
        images = [Image.fromarray(rng.randint(0, 256, (size, size, 3)).astype(np.uint8)) for _ in range(n)]
        s = strength
        steps = [T.RandomResizedCrop(size, scale=(scale, 1.0)), T.RandomApply([T.ColorJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s)], p=0.8),
                 T.RandomGrayscale(0.2)]
        if blur:
            steps.append(T.RandomApply([T.GaussianBlur(size // 10 | 1, (0.1, 2.0))], p=0.5))
        t = T.Compose(steps + [T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize((0.5,) * 3, (0.25,) * 3)])

        def run():
            for i in images:
                t(i), t(i)
        return run
    return make


def tsne(n, threads):
    def make():
        from sklearn.manifold import TSNE
        rng = np.random.RandomState(0)
        x = (2 * rng.randn(10, 64)[np.arange(n) % 10] + rng.randn(n, 64)).astype(np.float32)
        return lambda: TSNE(init="pca", learning_rate="auto", n_iter=250, n_jobs=threads).fit_transform(x)
    return make


def add(bench, resnet32, threads):
    for name, method in (("simclr", simclr), ("moco2", moco), ("byol", byol), ("simsiam", simsiam), ("barlow", barlow)):
        bench(f"ssl/{name}_resnet32_b128", step(resnet32, method))
    bench("ssl/augment_simclr_32_b128", augment(128, 32, 0.5, 0.2, False))
    bench("ssl/augment_simclr_224_b8", augment(8, 224, 1, 0.08, True))
    for n in (2000, 10000):
        bench(f"ssl/tsne_{n}x250", tsne(n, threads))
