#!/usr/bin/python3
"""Writes blobs.npy, synthetic features, and prints the divergences of scikit-learn's t-SNE.

    reference.py                write blobs.npy
    reference.py FILE.npy N     N points about ten centres in 64 dimensions to FILE.npy; print how long
                                scikit-learn takes for 1,000 iterations at one thread, and its divergence

The second is the other side of

    TSNE_POINTS=FILE.npy GOMAXPROCS=1 go test ./nn/eval/tsne -run '^$' -bench Embed -benchtime 1x

Written with scikit-learn 1.2.1.
"""
import os
import sys
import time

if len(sys.argv) > 1:  # before the libraries are loaded, which read them
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from sklearn.manifold import TSNE


def embed(x, method):
    t = TSNE(init="pca", learning_rate="auto", random_state=0, method=method, n_iter=1000, n_jobs=1)
    began = time.time()
    t.fit(x)
    print(method, len(x), "points:", round(time.time() - began, 1), "s, divergence", t.kl_divergence_)


rng = np.random.RandomState(0)
if len(sys.argv) > 1:
    n = int(sys.argv[2])
    x = (2 * rng.randn(10, 64)[np.arange(n) % 10] + rng.randn(n, 64)).astype(np.float32)
    np.save(sys.argv[1], x)
    embed(x, "barnes_hut")
    sys.exit()
n, d = 600, 16
x = (1.5 * rng.randn(8, d)[np.arange(n) % 8] * (np.arange(n) % 8 > 0)[:, None] + rng.randn(n, d) * (0.5 + np.arange(n) % 3)[:, None] / 2)
x = x.astype(np.float16)
np.save("blobs.npy", x)
for method in "exact", "barnes_hut":
    embed(x.astype(np.float32), method)
