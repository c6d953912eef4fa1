"""Writes the npy fixtures of this directory with numpy, one for each thing the format can say."""
import os
import numpy as np
from numpy.lib import format as npy

here = os.path.dirname(os.path.abspath(__file__))
ramp = np.arange(24).reshape(2, 3, 4)
cases = {
    "f4": ramp.astype("<f4") / 8, "f4_big": ramp.astype(">f4") / 8, "f8": ramp.astype("<f8") / 8,
    "f8_big": ramp.astype(">f8") / 8, "f2": ramp.astype("<f2") / 8, "f2_big": ramp.astype(">f2") / 8,
    "i1": ramp.astype("i1") - 12, "i2_big": ramp.astype(">i2") - 12, "i4": ramp.astype("<i4") - 12,
    "i8": ramp.astype("<i8") - 12, "u1": ramp.astype("u1"), "u2": ramp.astype("<u2"),
    "u4_big": ramp.astype(">u4"), "u8": ramp.astype("<u8"), "bool": ramp % 3 == 0,
    "fortran": np.asfortranarray(ramp.astype("<f4") / 8),
    "fortran_big": np.asfortranarray(ramp.astype(">f8") / 8),
    "scalar": np.float32(2.5).reshape(()), "vector": np.arange(3, dtype="<f4"), "empty": np.zeros((2, 0, 3), "<f4"),
}
for name, a in cases.items():
    np.save(os.path.join(here, name + ".npy"), a)
for version in (2, 3):
    with open(os.path.join(here, "version%d.npy" % version), "wb") as f:
        npy.write_array(f, ramp.astype("<f4") / 8, version=(version, 0))
for name, a in {"i8_large": np.array([1, 2**24 + 1]), "f8_large": np.array([1, 1e300]), "complex": np.zeros(2, "<c8"),
                "record": np.zeros(2, [("a", "<f4"), ("b", "<i4")]), "text": np.array(["ab", "c"])}.items():
    np.save(os.path.join(here, "bad_" + name + ".npy"), a)
