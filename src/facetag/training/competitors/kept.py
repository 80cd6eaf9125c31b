"""Arrays that took long to make, kept in a file, so that a run that was stopped goes on and a rerun is cheap."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.errors import writing

Arrays = dict[str, NDArray[Any]]

_KEY = "key"
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def key_of(*parts: object) -> str:
    """What arrays were made from, as a digest.

    >>> key_of("panda", ["a.jpg"], 3) == key_of("panda", ["a.jpg"], 4)
    False
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def names_of(paths: Sequence[Path]) -> list[tuple[str, int]]:
    """Files by name and size: what the key of their arrays holds."""
    return [(path.name, path.stat().st_size) for path in paths]


def kept(file: Path, key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of this file if it was made with this key, else what `make` says, which is kept there.

    Raises:
        FacetagError: it cannot be written.
    """
    found = _read(file, key)
    if found is None:
        found = make()
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".part.npz")
            arrays: dict[str, Any] = {_KEY: np.array(key), **found}
            np.savez(unfinished, **arrays)
            os.replace(unfinished, file)
    return found


def _read(file: Path, key: str) -> Arrays | None:
    """None for another key, or a file that is none of ours."""
    if not zipfile.is_zipfile(file):
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if str(arrays[_KEY]) != key:
                return None
            return {name: arrays[name] for name in arrays.files if name != _KEY}
    except _DAMAGE:
        return None
