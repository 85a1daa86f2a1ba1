"""Writes the data set that ships with the package: `python -m banach.data.make_bundled FOLDER`.

FOLDER holds Fashion-MNIST's original files; Debian's package dataset-fashion-mnist puts them into
/usr/share/datasets/fashion-mnist. The 10,000 images of the test part and their labels become one compressed file,
byte for byte the same on every machine with the same zlib.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from banach.data.bundled import ASSET
from banach.data.idx import find_idx, read_idx
from banach.files import staged


def main(folder: Path, out: Path = ASSET) -> None:
    """Pack the test part found in `folder` into `out`."""
    arrays = {
        "images": read_idx(find_idx(folder, "t10k-images-idx3-ubyte"), 3),
        "labels": read_idx(find_idx(folder, "t10k-labels-idx1-ubyte"), 1),
    }
    with staged(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))  # a fixed date, or each build differs
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
