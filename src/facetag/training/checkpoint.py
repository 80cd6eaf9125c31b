"""What a training run leaves on disk: checkpoint.pt to go on from, best.safetensors to use, metrics.jsonl to look at.

The first two appear whole (temporary file, then rename) or not at all.
"""

import json
import os
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from facetag.errors import DataError
from facetag.settings import plain, settings_from, with_new_keys

CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"
METRICS = "metrics.jsonl"

#: What reading a file may raise that is no checkpoint of ours.
_DAMAGED = (
    AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError,
    zipfile.BadZipFile,
)  # fmt: skip


def save(folder: Path, state: dict[str, Any], *settings: Any) -> None:
    """Write the state to go on from, with the settings (dataclasses) that made it."""
    temporary = folder / (CHECKPOINT + ".part")
    torch.save({**state, "settings": json.dumps([plain(each) for each in settings])}, temporary)
    os.replace(temporary, folder / CHECKPOINT)


def load(folder: Path, *settings: Any, device: torch.device) -> dict[str, Any]:
    """The state that `save` wrote.

    Raises:
        DataError: there is none, it is damaged, or other settings made it.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise DataError(f"{path} does not exist", "start without --resume")
    try:
        state = _read(path, device)
        table = "anet_attributes" if folder.name.startswith("anet_attributes") else ""
        saved = with_new_keys(json.loads(state["settings"]), table)
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged", "start without --resume") from error
    if not _same(saved, settings, str(path)):
        raise DataError(f"{path} was made with other settings", "use its recipe, or start without --resume")
    return state


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # torch writes checksums and does not look at them
        if archive.testzip() is not None:
            raise ValueError("a checksum differs")
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def _same(saved: Any, settings: Sequence[Any], source: str) -> bool:
    """Whether the saved plain data says these settings; a setting that is new since then has its default."""
    # a dict is of a checkpoint from before the stage's settings were saved beside the loop's
    pairs = zip(saved if isinstance(saved, list) else [saved], settings, strict=False)
    return all(settings_from(type(each), values, source) == each for values, each in pairs)


def keep_record(path: Path, record: dict[str, Any] | None, resume: bool) -> None:
    """Write what a stage learns from besides its data folder, or nothing; a resumed stage must say what it began with.

    Raises:
        DataError: it says something else.
    """
    if resume:
        if read_record(path) != record:
            remedy = "give the same file, or start without --resume"
            raise DataError(f"{path.parent} was begun with other boxes", remedy)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if record is not None:
        path.write_text(json.dumps(record) + "\n", encoding="utf-8")


def read_record(path: Path) -> dict[str, Any] | None:
    """What `keep_record` wrote."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{path} is damaged", "train the stage again") from error
    return found


def clear(folder: Path) -> None:
    """Remove what an earlier run left, so that its best or its metrics are never taken for this one's."""
    for name in (CHECKPOINT, BEST, METRICS):
        (folder / name).unlink(missing_ok=True)


def append_metrics(folder: Path, row: dict[str, Any]) -> None:
    """Add a row to metrics.jsonl."""
    with (folder / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def rewind_metrics(folder: Path, step: int) -> None:
    """Drop the rows of metrics.jsonl after a step: a run that goes on from it will write them again."""
    path = folder / METRICS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    # a line cut short by the run's end is the last one, and after the checkpoint
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    temporary = folder / (METRICS + ".part")
    temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    os.replace(temporary, path)


def save_best(folder: Path, model: nn.Module, figures: dict[str, float]) -> None:
    """Write the net as it is now, heads included, with the figures that chose it."""
    temporary = folder / (BEST + ".part")
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, temporary, metadata={"figures": json.dumps(figures)})
    os.replace(temporary, folder / BEST)


def best_state(folder: Path) -> dict[str, Tensor]:
    """The weights of the folder's best, heads included.

    Raises:
        DataError: the stage was not trained yet, or its file is damaged.
    """
    path = folder / BEST
    if not path.is_file():
        raise DataError(f"{path} does not exist", f"train the stage {folder.name} first")
    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise DataError(f"{path} is damaged", f"train the stage {folder.name} again") from error


def load_best(folder: Path, model: nn.Module) -> None:
    """Fill the net from the folder's best.

    Raises:
        DataError: the stage was not trained yet, or with another structure.
    """
    try:
        model.load_state_dict(best_state(folder))
    except RuntimeError as error:
        raise DataError(f"{folder / BEST} does not fit the recipe", f"train the stage {folder.name} again") from error


def figures(folder: Path) -> dict[str, float]:
    """The validation figures that chose the folder's best."""
    with safetensors.safe_open(folder / BEST, "pt") as file:
        found: dict[str, float] = json.loads(file.metadata()["figures"])
    return found
