# Writes grid_border.json beside this file: what torch.nn.functional.grid_sample gives at points that lie exactly on
# borders and pixels, where its derivative jumps. The sizes make every coordinate exact in float32.
import json, os, torch
import torch.nn.functional as F

cases = []
for align, n in ((True, 5), (False, 4)):
    image = (torch.arange(n * n, dtype=torch.float64) ** 2 / 16 + 1).reshape(1, 1, n, n)
    coordinate = lambda at: 2 * at / (n - 1) - 1 if align else (2 * at + 1) / n - 1
    ends = [-(n - 1), -1, -0.5, 0, 1, n - 1, n - 0.5, n, 2 * (n - 1)]
    pixels = [(at, 1.25) for at in ends] + [(1.25, at) for at in ends] + [(0, 0), (n - 1, 0), (n - 1, n - 1)]
    points = [[coordinate(x), coordinate(y)] for x, y in pixels]
    assert torch.tensor(points).double().tolist() == points
    for padding in ("zeros", "border", "reflection"):
        grid = torch.tensor(points, dtype=torch.float64).reshape(1, 1, -1, 2).requires_grad_()
        y = F.grid_sample(image, grid, mode="bilinear", padding_mode=padding, align_corners=align)
        y.sum().backward()
        cases.append({"align": align, "padding": padding, "size": n, "image": image.flatten().tolist(), "pixels": sum(map(list, pixels), []),
                      "grid": sum(points, []), "y": y.flatten().tolist(), "dgrid": grid.grad.flatten().tolist()})
with open(os.path.join(os.path.dirname(__file__), "grid_border.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
