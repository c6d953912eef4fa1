#!/usr/bin/python3
"""Time FFmpeg's and OpenCV's motion estimation on the benchmark's cases: same names,
same frames.

Needs ffmpeg and python3-opencv (Debian). Prints a line a case: name, least and median
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

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
PREFIX = sys.argv[2] if len(sys.argv) > 2 else ""
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
cv2.setNumThreads(THREADS)


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
