"""Draws the pictures of this directory: NAME.jpg and what libjpeg makes of it, NAME.png.

Needs Debian's python3-pil, python3-numpy and libjpeg-turbo-progs (cjpeg).
"""
import subprocess

import numpy as np
from PIL import Image


def smooth(w, h):
    """Waves of colour, with an edge of saturated red on blue."""
    y, x = np.mgrid[0:h, 0:w] / 12.0
    p = np.stack([np.sin(3 * x + y), np.sin(2 * x - 3 * y + 1), np.cos(x + 4 * y)], 2) * 90 + 128
    p[h // 3:, w // 2:w // 2 + max(w // 6, 1)] = [255, 0, 0]
    p[: h // 3, : w // 4] = [0, 0, 255]
    return p


def blocks(w, h):
    """Squares of 16 pixels of one colour: decoders agree on their samples exactly."""
    r = np.random.default_rng(1).integers(0, 256, (h // 16 + 1, w // 16 + 1, 3))
    return np.repeat(np.repeat(r, 16, 0), 16, 1)[:h, :w]


def save(name, pixels, sample, *more):
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save("/tmp/x.ppm")
    with open(name + ".jpg", "wb") as f:
        subprocess.run(["cjpeg", "-sample", sample, *more, "/tmp/x.ppm"], stdout=f, check=True)
    Image.open(name + ".jpg").convert("RGB").save(name + ".png", optimize=True)


for name, sample in {"444": "1x1", "422": "2x1", "420": "2x2", "440": "1x2", "411": "4x1"}.items():
    save("smooth-" + name, smooth(37, 29), sample, "-quality", "92")
    save("blocks-" + name, blocks(51, 35), sample, "-quality", "100")
save("progressive-420", smooth(34, 41), "2x2", "-quality", "80", "-progressive")
for w, h in [(1, 1), (2, 7), (4, 5), (5, 4), (3, 1)]:
    save(f"small-{w}x{h}", smooth(w, h), "2x2", "-quality", "95")
save("small-422", smooth(4, 3), "2x1", "-quality", "95")
save("small-440", smooth(3, 2), "1x2", "-quality", "95")
save("restart", smooth(37, 29), "2x2", "-quality", "92", "-restart", "2B")
save("restart-progressive", smooth(34, 41), "2x2", "-quality", "80", "-progressive", "-restart", "2B")
save("gray", smooth(37, 29), "1x1", "-quality", "85", "-grayscale")
save("rgb", smooth(37, 29), "1x1", "-quality", "85", "-rgb")
