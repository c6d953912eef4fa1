#!/usr/bin/python3
"""Time FFmpeg's and OpenCV's motion estimation and PyTorch's networks for clips on the
benchmark's cases: same names, same frames, same layers. PyTorch wants the environment
that pytorch.py describes.

Needs ffmpeg, python3-opencv and python3-torch (Debian). Prints a line a case: name, least and median
milliseconds of one frame against one other. FFmpeg's mestimate searches from each frame
both the one before and the one after, in one thread whatever it is told; its time is
the user time of a run with the filter, less that of one without it, over the number of
searches. Block matching and Farneback's flow have the parameters that are usual:
blocks of 16 pixels and +-7; (0.5, 3, 15, 3, 5, 1.2, 0).

usage: video.py [threads] [case-prefix] [seconds]
With 0 seconds every case runs once and its name alone is printed.
"""
import os, re, statistics, subprocess, sys, tempfile, time
import cv2, numpy as np
import torch, torch.nn as nn, torch.nn.functional as F

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
PREFIX = sys.argv[2] if len(sys.argv) > 2 else ""
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
cv2.setNumThreads(THREADS)
torch.set_num_threads(THREADS)
torch.manual_seed(0)


def moving_clip(frames, h, w):
    """A texture of plane waves that moves and turns, as movingClip in video.go."""
    y0, x0 = np.mgrid[0:h, 0:w].astype(np.float64)
    clip = np.empty((frames, h, w), np.uint8)
    for t in range(frames):
        x, y = x0 - 2.6 * t - 0.004 * t * y0, y0 - 1.7 * t + 0.004 * t * x0
        total = np.full((h, w), 127.5)
        for k in range(12):
            a, length = 2.4 * k, 5 * 1.35 ** k
            total += (4 + k) * np.sin(2 * np.pi * (x * np.cos(a) + y * np.sin(a)) / length + k * k)
        clip[t] = np.floor(np.clip(total, 0, 255) + 0.5)
    return clip


def bench(name, make):
    """make returns a function that returns its own time in milliseconds."""
    if not name.startswith(PREFIX):
        return
    run = make()
    run()
    if not SECONDS:
        print(name, flush=True)
        return
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        times.append(run())
    print(f"{name:46s} {min(times):10.3f} {statistics.median(times):10.3f}", flush=True)


def block(method, w, h):
    frames = 5

    def make():
        raw = tempfile.NamedTemporaryFile(suffix=".gray")
        moving_clip(2, h, w)[[t % 2 for t in range(frames)]].tofile(raw.name)

        def user_time(graph):
            out = subprocess.run(
                ["ffmpeg", "-nostdin", "-hide_banner", "-benchmark", "-threads", str(THREADS), "-filter_threads", str(THREADS),
                 "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{w}x{h}", "-i", raw.name, "-vf", graph, "-f", "null", "-"],
                stderr=subprocess.PIPE, check=True, text=True).stderr
            return 1e3 * float(re.search(r"bench: utime=([\d.]+)s", out).group(1))

        def run():
            ms = user_time(f"mestimate=method={method}:mb_size=16:search_param=7") - user_time("null")
            return ms / (2 * (frames - 1))
        return run
    return make


def flow(estimate):
    def make():
        a, b = moving_clip(2, 480, 640)

        def run():
            start = time.perf_counter()
            estimate(b, a)
            return (time.perf_counter() - start) * 1e3
        return run
    return make


for w, h in ((352, 288), (1280, 720)):
    for ours, theirs in (("full", "esa"), ("diamond", "ds"), ("epzs", "epzs")):
        bench(f"video/block/{ours}16r7_{w}x{h}", block(theirs, w, h))
bench("video/flow/farneback_640x480", flow(lambda a, b: cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)))
bench("video/flow/tvl1_640x480", flow(lambda a, b: cv2.optflow.DualTVL1OpticalFlow_create().calc(a, b, None)))


def timed(work):
    def run():
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) * 1e3
    return run


def infer(network, *shape):
    def make():
        net, x = network().eval(), torch.randn(shape)

        def work():
            with torch.no_grad():
                net(x)
        return timed(work)
    return make


def train(network, *shape):
    """A step of SGD on the cross-entropy of ten classes."""
    def make():
        net, x, y = network().train(), torch.randn(shape), torch.arange(shape[0]) % 10
        opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)

        def work():
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        return timed(work)
    return make


def conv_norm(i, o, k, s, p):
    return nn.Sequential(nn.Conv3d(i, o, k, s, p, bias=False), nn.BatchNorm3d(o))


class Residual(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        s = 1 if i == o else 2
        self.a, self.b = conv_norm(i, o, 3, s, 1), conv_norm(o, o, 3, 1, 1)
        self.shortcut = nn.Identity() if i == o else conv_norm(i, o, 1, s, 0)

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))) + self.shortcut(x))


def r3d18():
    layers = [conv_norm(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3)), nn.ReLU()]
    for i, o in ((64, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)):
        layers.append(Residual(i, o))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(512, 400))


def c3d():
    layers, i = [], 3
    for o in (64, "1", 128, "2", 256, 256, "2", 512, 512, "2", 512, 512, "p"):
        if isinstance(o, str):
            layers.append({"1": nn.MaxPool3d((1, 2, 2)), "2": nn.MaxPool3d(2), "p": nn.MaxPool3d(2, padding=(0, 1, 1))}[o])
        else:
            layers += [nn.Conv3d(i, o, 3, padding=1), nn.ReLU()]
            i = o
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8192, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
                         nn.Dropout(), nn.Linear(4096, 487))


def tiny3d():
    layers = []
    for i, o, then in ((3, 8, nn.MaxPool3d((1, 2, 2))), (8, 16, nn.MaxPool3d(2)), (16, 32, nn.AdaptiveAvgPool3d(1))):
        layers += [nn.Conv3d(i, o, 3, padding=1, bias=False), nn.BatchNorm3d(o), nn.ReLU(), then]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10))


bench("video/infer/r3d18_16x112x112", infer(r3d18, 1, 3, 16, 112, 112))
bench("video/infer/c3d_16x112x112", infer(c3d, 1, 3, 16, 112, 112))
bench("video/infer/tiny3d_16x112x112", infer(tiny3d, 1, 3, 16, 112, 112))
bench("video/train/tiny3d_b8_16x32x32", train(tiny3d, 8, 3, 16, 32, 32))
