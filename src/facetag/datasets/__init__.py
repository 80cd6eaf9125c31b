"""Data sets: paths and label arrays, never pixels.

Each loader takes the root of one data set and answers with something that has `summary() -> list[str]`.
To add one: a file with its loader, one line here, and one in `arrange.LAYOUTS`.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast


class DataSet(Protocol):
    """What every loader returns, whatever else it holds."""

    def summary(self) -> list[str]:
        """What was found and what was missing, a line each."""
        ...


#: name -> module:function; text, so that importing this package imports nothing slow.
DATASETS: dict[str, str] = {
    "celeba": "celeba:load_celeba",
    "celeba-wild": "celeba:load_celeba_wild",
    "lfwa": "lfwa:load_lfwa",
    "lfwa-plus": "lfwa:load_lfwa_plus",
    "lfw-kumar": "kumar:load_kumar",
    "objects": "folders:load_class_folder",
    "people": "folders:load_class_folder",
    "backgrounds": "folders:load_scenes",
    "webfaces": "webfaces:load_webfaces",
}


def loader(name: str) -> Callable[[Path], DataSet]:
    """The loader of a data set named in DATASETS."""
    module, function = DATASETS[name].split(":")
    return cast(Callable[[Path], DataSet], getattr(import_module(f"{__name__}.{module}"), function))
