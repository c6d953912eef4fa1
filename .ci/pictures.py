"""Write a small set of 32x32 RGB pictures as PNG files: DIR/train/CLASS and DIR/test/CLASS."""
import os, random, struct, sys, zlib


def png(path, rows):
    def chunk(kind, b):
        return struct.pack(">I", len(b)) + kind + b + struct.pack(">I", zlib.crc32(kind + b))
    raw = b"".join(b"\0" + bytes(v for pixel in row for v in pixel) for row in rows)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


random.seed(1)
for part, count in ("train", 20), ("test", 4):
    for k, name in enumerate(("red", "green", "blue")):
        folder = os.path.join(sys.argv[1], part, name)
        os.makedirs(folder)
        for i in range(count):
            # A bright square of the class's colour on noise.
            left, top = random.randrange(20), random.randrange(20)
            rows = [[[random.randrange(80) + (160 if c == k and left <= x < left + 12 and top <= y < top + 12 else 0)
                      for c in range(3)] for x in range(32)] for y in range(32)]
            png(os.path.join(folder, "%d.png" % i), rows)
