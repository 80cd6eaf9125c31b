"""LFWA's files as MATLAB 7.3 writes them."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from facetag.attributes import ATTRIBUTES

NAMES = [
    "Ann_Li/Ann_Li_0001.jpg",
    "Ann_Li/Ann_Li_0002.jpg",
    "Bo_Ek/Bo_Ek_0001.jpg",
    "Cy_Io/Cy_Io_0001.jpg",
    "Cy_Io/Cy_Io_0002.jpg",
]
LABELS = np.random.default_rng(0).integers(0, 2, (5, 40))
PLUS = ("Male", "Middle Aged", "Color LoadedImage")
__all__ = ["ATTRIBUTES", "LABELS", "NAMES", "PLUS", "write_cells", "write_labels", "write_split"]


def write_cells(file: h5py.File, key: str, texts: Sequence[str]) -> None:
    """A cell array (len(texts), 1) the way MATLAB 7.3 writes it."""
    references = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for i, text in enumerate(texts):
        stored = file.create_dataset(f"#refs#/{key}{i}", data=np.array([[ord(c)] for c in text], dtype=np.uint16))
        references[0, i] = stored.ref
    file.create_dataset(key, data=references, dtype=h5py.ref_dtype)


def write_labels(path: Path, columns: Sequence[str], labels: np.ndarray) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        write_cells(file, "name", [name.replace("/", "\\") for name in NAMES])
        write_cells(file, "AttrName", columns)
        file.create_dataset("label", data=labels.T.astype(np.float64))


def write_split(path: Path, train: Sequence[int], test: Sequence[int]) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("indices_img_train", data=np.array([train], dtype=np.float64))
        file.create_dataset("indices_img_test", data=np.array([test], dtype=np.float64))
