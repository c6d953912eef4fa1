"""Writes warp.json: what PyTorch's grid_sample and affine_grid make of a small plane.

    python3 warp.py > warp.json
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(1)
h, w = 5, 7
plane = torch.randn(h, w, dtype=torch.float64)
place = torch.stack([torch.rand(h, w, dtype=torch.float64) * 14 - 4, torch.rand(h, w, dtype=torch.float64) * 10 - 3])
grid = torch.stack([2 * place[0] / (w - 1) - 1, 2 * place[1] / (h - 1) - 1], dim=-1)[None]
out = {"h": h, "w": w, "plane": plane.flatten().tolist(), "x": place[0].flatten().tolist(), "y": place[1].flatten().tolist(), "cases": []}
for pad, name in [("zeros", "zero"), ("border", "border"), ("reflection", "reflect")]:
    for align in (True, False):
        y = F.grid_sample(plane[None, None], grid, padding_mode=pad, align_corners=align)
        out["cases"].append({"pad": name, "unaligned": not align, "out": y.flatten().tolist()})
m = torch.tensor([[0.8, -0.5, 0.2], [0.3, 1.1, -0.4]], dtype=torch.float64)
y = F.grid_sample(plane[None, None], F.affine_grid(m[None], (1, 1, h, w), align_corners=True), align_corners=True)
out["matrix"], out["affine"] = m.flatten().tolist(), y.flatten().tolist()
print(json.dumps(out))
