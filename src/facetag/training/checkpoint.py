"""What a training run leaves on disk: checkpoint.pt to go on from, best.safetensors to use.

Both appear whole (temporary file, then rename) or not at all.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from facetag.errors import DataError
from facetag.settings import plain

CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"


def save(folder: Path, state: dict[str, Any], settings: Any) -> None:
    """Write the state to go on from, with the settings that made it."""
    temporary = folder / (CHECKPOINT + ".part")
    torch.save({**state, "settings": json.dumps(plain(settings))}, temporary)
    os.replace(temporary, folder / CHECKPOINT)


def load(folder: Path, settings: Any, device: torch.device) -> dict[str, Any]:
    """The state that `save` wrote.

    Raises:
        DataError: there is none, it is damaged, or other settings made it.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise DataError(f"{path} does not exist", "start without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is damaged", "start without --resume") from error
    if json.loads(state["settings"]) != plain(settings):
        raise DataError(f"{path} was made with other settings", "use its recipe, or start without --resume")
    return state


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
