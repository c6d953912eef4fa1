"""Writes augment.json: what torchvision does to a synthetic picture.

    /usr/bin/python3 augment.py > augment.json

Written with torchvision 0.14.1 and Pillow 9.4.0.
"""
import base64, json, sys, zlib
import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode, autoaugment as aa
from torchvision.transforms import functional as F


def picture(h, w, c, seed):
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:h, 0:w]
    smooth = [60 + 90 * np.sin(x / (2 + k) + y / 5) + 40 * np.cos(y / (3 - k / 2)) for k in range(c)]
    return np.clip(np.stack(smooth, -1) + rng.randint(-30, 60, (h, w, c)), 5, 240).astype(np.uint8)


def planes(a):  # [C, H, W] as base64
    a = np.asarray(a)
    a = a[:, :, None] if a.ndim == 2 else a
    return base64.b64encode(a.transpose(2, 0, 1).tobytes()).decode()


def image(a):
    return Image.fromarray(a[:, :, 0] if a.shape[2] == 1 else a)


def spaces():
    auto, rand = aa.AutoAugment(aa.AutoAugmentPolicy.CIFAR10), aa.RandAugment()
    for bins, t in (10, auto), (31, rand):
        def magnitudes(h, w, t=t, bins=bins):
            return t._augmentation_space(bins, (h, w))
        yield bins, magnitudes


def operations(a, full):
    h, w, _ = a.shape
    for bins, magnitudes in spaces():
        for op, (values, signed) in magnitudes(h, w).items():
            for i, v in enumerate(values.tolist() if values.ndim else [0.0]):
                if full and bins == 31 and i != 9:
                    continue
                for sign in (1, -1) if signed else (1,):
                    out = aa._apply_op(image(a), op, sign * float(v), InterpolationMode.NEAREST, [128] * a.shape[2] if full else None)
                    yield {"op": op, "bin": i, "bins": bins, "minus": sign < 0, **({"out": planes(out)} if full else {"crc": zlib.crc32(base64.b64decode(planes(out)))})}


def policy(p):
    return [[{"op": op, "p": prob, "bin": b or 0} for op, prob, b in sub] for sub in aa.AutoAugment(p).policies]


def jitter(a):
    """On tensors, without rounding to 8 bits, and on images."""
    x = torch.from_numpy(a.transpose(2, 0, 1).copy()).float() / 255
    pil = image(a)
    cases = [
        ("brightness", F.adjust_brightness, [0.0, 0.4, 0.9, 1.3, 1.8]),
        ("contrast", F.adjust_contrast, [0.0, 0.4, 0.9, 1.3, 1.8]),
        ("saturation", F.adjust_saturation, [0.0, 0.4, 0.9, 1.3, 1.8]),
        ("hue", F.adjust_hue, [-0.5, -0.21, -0.1, 0.05, 0.1, 0.4, 0.5]),
    ]
    for op, f, amounts in cases:
        for v in amounts:
            yield {"op": op, "args": [v], "tensor": f(x, v).flatten().tolist(), "image": planes(f(pil, v))}
    for size, sigma in (3, 0.5), (5, 0.1), (5, 1.3), (7, 2.0):
        yield {"op": "blur", "args": [size, sigma], "tensor": F.gaussian_blur(x, size, sigma).flatten().tolist(), "image": planes(F.gaussian_blur(pil, size, sigma))}
    for top, left, ch, cw, oh, ow in (0, 0, 12, 10, 6, 5), (1, 2, 7, 5, 12, 10), (3, 1, 5, 8, 5, 8), (0, 0, 12, 10, 3, 4), (2, 2, 9, 3, 8, 8):
        yield {"op": "crop", "args": [top, left, ch, cw, oh, ow],
               "tensor": F.resized_crop(x, top, left, ch, cw, [oh, ow], InterpolationMode.BILINEAR, antialias=True).flatten().tolist(),
               "image": planes(F.resized_crop(pil, top, left, ch, cw, [oh, ow], InterpolationMode.BILINEAR))}


def rounded(case):
    case["tensor"] = [round(v, 4) for v in case["tensor"]]
    return case


small, gray, cifar = picture(12, 10, 3, 1), picture(9, 7, 1, 2), picture(32, 32, 3, 3)
flat = np.full((4, 5, 3), 77, np.uint8)
groups = []
for a, full in (small, True), (gray, True), (cifar, False), (flat, True):
    h, w, c = a.shape
    groups.append({"shape": [c, h, w], "pixels": planes(a), "cases": list(operations(a, full))})
json.dump({
    "cifar10": policy(aa.AutoAugmentPolicy.CIFAR10),
    "imagenet": policy(aa.AutoAugmentPolicy.IMAGENET),
    "operations": groups,
    "jitter": {"shape": [3, 12, 10], "pixels": planes(small), "cases": [rounded(c) for c in jitter(small)]},
}, sys.stdout, separators=(",", ":"))
