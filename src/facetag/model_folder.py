"""Model folders without their weights: where they lie, whether they are whole, and what their model.json says. Loads no
torch."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any

from facetag.attributes import ATTRIBUTES, GROUPS, is_attribute_name
from facetag.errors import ModelError

FORMAT = 2  #: as it is written
FORMATS = (1, FORMAT)  #: as it may be read; in the first, settings have older names
DEFAULT = "fast"
FILES = ("lnet_o.safetensors", "lnet_s.safetensors", "anet.safetensors", "svm.safetensors")
CENTER_FILES = ("center_net.safetensors", *FILES[2:])
LARGEST = 1 << 30  #: bytes of one file; the largest that is shipped has a hundredth of it


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model without its networks; fields as those of `model.Model`."""

    name: str
    attributes: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    thresholds: tuple[float, ...]
    fingerprint: str


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


def read_facts(name_or_folder: str = DEFAULT) -> ModelFacts:
    """The facts of a model whose files are whole.

    Raises:
        ModelError: there is none, or it is incomplete, altered, of another version, or not a model.
    """
    folder = find_model(name_or_folder)
    description = read_description(folder)
    attributes, groups = attributes_of(description)
    try:
        verify_model(folder, description)
        thresholds = tuple(map(float, description["thresholds"]))
        fingerprint = hashlib.sha256(read_whole(folder / "model.json")).hexdigest()
    except (KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise _malformed(folder, error) from error
    if len(thresholds) != len(attributes) or not all(map(isfinite, thresholds)):
        raise _malformed(folder, f"{len(attributes)} finite thresholds are needed, one an attribute")
    return ModelFacts(description["name"], attributes, groups, thresholds, fingerprint)


def _malformed(folder: Path, error: object) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(f"{folder} is not a facetag model ({reason})", "install facetag again or train it anew")


def verify_model(folder: Path, description: Mapping[str, Any]) -> None:
    """Compare every weight file and the description itself with the recorded SHA-256.

    Raises:
        ModelError: a file is missing or differs.
    """
    recorded = description.get("sha256")
    expected = recorded if isinstance(recorded, dict) else {}
    if description_digest(description) != expected.get("model.json"):
        raise ModelError(f"{folder / 'model.json'} was altered after the model was saved", "install facetag again")
    for name in weight_files(description):
        try:
            found = hashlib.sha256(read_whole(folder / name)).hexdigest()
        except OSError as error:
            raise ModelError(f"{folder / name}: {error.strerror}", "install facetag again") from error
        if found != expected.get(name):
            raise ModelError(f"{folder / name} is not the file that the model was saved with", "install facetag again")


def weight_files(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the weight files beside a model.json."""
    return CENTER_FILES if "center_net" in description else FILES


def description_digest(description: Mapping[str, Any]) -> str:
    """SHA-256 of what a description says, its own digest left out; layout and order of keys do not matter."""
    content = json.loads(json.dumps(description))
    if isinstance(content.get("sha256"), dict):
        content["sha256"].pop("model.json", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
    are_names = all(isinstance(name, str) and is_attribute_name(name) for name in (*attributes, *members))
    if not (attributes and are_names and len(set(attributes)) == len(attributes) and set(members) <= set(attributes)):
        raise ModelError("the attributes or groups in model.json are malformed", "install facetag again")
    return attributes, {name: tuple(names) for name, names in groups.items()}
