"""Draws the pictures of this directory: NAME-SHORT-HxW.png is what torchvision's
Resize(SHORT) and CenterCrop((H, W)) make of NAME.png.

Needs Debian's python3-torchvision and python3-pil.
"""
import numpy as np
from PIL import Image
from torchvision import transforms


def draw(w, h):
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack([np.sin(x * 0.9 + y * 0.2), np.cos(x * 0.1 - y * 0.7), np.sin(x * y * 0.02)], 2) * 100 + 128
    p[h // 4 : h // 2, w // 5 : w // 3] = [255, 0, 0]
    p[h // 2 :: 7, :] = 255
    return Image.fromarray(np.clip(p, 0, 255).astype(np.uint8))


for name, (w, h), short, crop in [
    ("wide", (97, 45), 32, (28, 28)),
    ("tall", (45, 101), 32, (28, 20)),
    ("small", (23, 17), 40, (36, 37)),
    ("square", (64, 64), 31, (31, 31)),
]:
    img = draw(w, h)
    img.save(f"{name}.png", optimize=True)
    out = transforms.CenterCrop(crop)(transforms.Resize(short)(img))
    out.save(f"{name}-{short}-{crop[0]}x{crop[1]}.png", optimize=True)
