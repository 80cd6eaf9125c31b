"""Model folders without their weights: where they lie, and what their model.json says. Loads no torch."""

import json
import os
import stat
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.errors import ModelError

FORMAT = 2  #: as it is written
FORMATS = (1, FORMAT)  #: as it may be read; in the first, settings have older names
DEFAULT = "fast"
LARGEST = 1 << 30  #: bytes of one file; the largest that is shipped has a hundredth of it


def models_folder() -> Path:
    """Where shipped models lie: inside the package in a wheel, at the top of the repository in an editable install."""
    packaged = Path(str(resources.files("facetag"))) / "models"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "models"


def find_model(name_or_folder: str = DEFAULT) -> Path:
    """The folder of a shipped model by name, or of any model by path.

    Raises:
        ModelError: there is none.
    """
    candidates = [Path(name_or_folder)]
    if os.sep not in name_or_folder:
        candidates.insert(0, models_folder() / name_or_folder)
    for folder in candidates:
        if (folder / "model.json").is_file():
            return folder
    raise ModelError(f"no model at {name_or_folder!r}", f"shipped models: {', '.join(shipped_models()) or 'none'}")


def shipped_models() -> list[str]:
    """Names of the models that came with facetag."""
    return sorted(path.parent.name for path in models_folder().glob("*/model.json"))


def read_whole(path: Path) -> bytes:
    """The bytes of a model's file. What would never end, or wait for a writer, is not opened for reading.

    Raises:
        ModelError: it is no regular file, or larger than any model's.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise ModelError(f"{path} is not a regular file of at most {LARGEST} bytes", "install facetag again")
        return stream.read()


def read_description(folder: Path) -> dict[str, Any]:
    """model.json as data.

    Raises:
        ModelError: it is missing, not JSON, of another format, or does not say whose it is.
    """
    path = folder / "model.json"
    try:
        description = json.loads(read_whole(path))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}", "name a model folder") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON", "install facetag again or train it anew") from error
    if not isinstance(description, dict) or description.get("format") not in FORMATS:
        raise ModelError(f"{path} is not of model format 1 or 2", "use a model made for this version of facetag")
    name, attributes = description.get("name"), description.get("attributes", [])
    if not (isinstance(name, str) and name.isprintable() and isinstance(attributes, list)):
        raise ModelError(
            f"{path} is not a facetag model's (its name or attributes)", "install facetag again or train it anew"
        )
    return description


def attributes_of(description: Mapping[str, Any]) -> tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]:
    """Names of the attributes that a model answers, in its order, and its groups of them; CelebA's where model.json
    does not say.

    Raises:
        ModelError: names are repeated or no names, or a group has others.
    """
    attributes = tuple(description.get("attributes", ATTRIBUTES))
    groups = description.get("groups", GROUPS if attributes == ATTRIBUTES else {})
    are_lists = isinstance(groups, Mapping) and all(isinstance(names, list | tuple) for names in groups.values())
    members = [name for names in groups.values() for name in names] if are_lists else [None]
    are_names = all(isinstance(name, str) and _is_name(name) for name in (*attributes, *members))
    if not (attributes and are_names and len(set(attributes)) == len(attributes) and set(members) <= set(attributes)):
        raise ModelError("the attributes or groups in model.json are malformed", "install facetag again")
    return attributes, {name: tuple(names) for name, names in groups.items()}


def _is_name(text: str) -> bool:
    """Whether it can be told from others on the command line and in a list of tags."""
    return text.isprintable() and text == text.strip() != "" and not set(text) & set(",;=")
