"""Stands in for the package safetensors, which Debian does not have: the one function
that the README uses, by the format's description."""
import json
import struct

DTYPES = {"torch.float32": "F32", "torch.int64": "I64"}


def save_file(tensors, filename, metadata=None):
    header, at = {"__metadata__": metadata}, 0
    if metadata is None:
        header = {}
    data = []
    for name, t in tensors.items():
        b = t.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": DTYPES[str(t.dtype)], "shape": list(t.shape), "data_offsets": [at, at + len(b)]}
        at += len(b)
        data.append(b)
    text = json.dumps(header).encode()
    with open(filename, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))
