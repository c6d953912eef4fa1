#!/usr/bin/python3
"""Writes subsets.json: what numpy's RandomState keeps of each class of a small data set,
drawn as LDAM-DRW draws CIFAR-LT (one generator, class after class: shuffle, then the
first). Run it in this directory."""

import json

import numpy as np

classes, total = 7, 2000
labels = np.random.RandomState(99).randint(0, classes, total)
cases = []
for seed in (0, 1, 4294967295):
    for imbalance in (10, 50):
        rng = np.random.RandomState(seed)
        largest = int((labels == 0).sum())
        keep = []
        for c in range(classes):
            members = np.where(labels == c)[0]
            rng.shuffle(members)
            n = int(largest * (1 / imbalance) ** (c / (classes - 1)))
            keep += sorted(int(i) for i in members[: min(n, len(members))])
        cases.append({"Seed": seed, "Imbalance": imbalance, "Indices": sorted(keep)})

with open("subsets.json", "w") as f:
    json.dump({"Labels": labels.tolist(), "Cases": cases}, f, separators=(",", ":"))
