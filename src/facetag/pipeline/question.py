"""What is asked of images: as much of a FaceTagger as no network is needed for."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import attribute_indices
from facetag.datasets.boxes import load_boxes_csv
from facetag.errors import DataError, UsageError
from facetag.images.decode import MAX_PIXELS, Raw
from facetag.model_folder import ModelFacts
from facetag.pipeline.face_sources import GivenBoxes
from facetag.pipeline.loader import ReadSettings
from facetag.results import Decider

if TYPE_CHECKING:
    from facetag.model import Model

Faces = Literal["all", "thorough", "dominant"]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Question:
    """What a model is asked.

    Attributes:
        model: who is asked.
        chosen, kept: indices into the model's attributes, ascending: of those written, and of those that a journal
            keeps so that others can be written later.
        present_from, unsure_from: (A,) probabilities from which each attribute is present, and unsure.
        faces, aligned, min_face, precision: as FaceTagger's.
        given: the user's boxes; None without.
        reading: how images are read, as far as that does not depend on the networks and the device.
    """

    model: "ModelFacts | Model"
    chosen: list[int]
    kept: list[int]
    present_from: Values
    unsure_from: Values
    faces: Faces
    aligned: bool
    min_face: float
    precision: str
    given: GivenBoxes | None
    reading: ReadSettings

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of those written."""
        return tuple(self.model.attributes[index] for index in self.chosen)

    @property
    def stored(self) -> tuple[str, ...] | None:
        """Names of those that a journal keeps; None when faces are only located."""
        return tuple(self.model.attributes[index] for index in self.kept) if self.chosen else None

    @property
    def decide(self) -> Decider:
        """From a stored result to one of `attributes`, with its tags."""
        edges = (tuple(map(float, each[self.chosen])) for each in (self.present_from, self.unsure_from))
        return Decider(self.attributes, *edges)


def question_of(
    model: "ModelFacts | Model",
    *,
    attributes: Iterable[str] | None = None,
    stored: Iterable[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    unsure: float = 0.0,
    unsure_bands: Mapping[str, tuple[float, float]] | None = None,
    faces: Faces = "all",
    boxes: str | Path | GivenBoxes | None = None,
    aligned: bool = False,
    min_face: float = 0.0,
    max_pixels: int | None = None,
    strict: bool = False,
    raw: Raw = "refuse",
    precision: str = "float32",
    workers: int | None = None,
    batch: int | None = None,
    relative_to: str | Path = "",
) -> Question:
    """The Question that arguments of FaceTagger ask.

    Raises:
        UsageError, DataError: as FaceTagger says.
    """
    refuse_conflicts(faces, boxes, aligned)
    known = model.attributes, model.groups
    chosen = attribute_indices(model.attributes if attributes is None else _listed(attributes), *known)
    kept = chosen if stored is None else attribute_indices(_listed(stored), *known)
    present_from, unsure_from = _edges(model, thresholds or {}, unsure, unsure_bands or {})
    folder = str(relative_to)
    reading = ReadSettings(
        max_pixels or MAX_PIXELS,
        strict,
        workers or min(os.cpu_count() or 1, 4),
        batch or ReadSettings.batch,
        folder=folder,
        raw=raw,
    )
    given = boxes if isinstance(boxes, GivenBoxes) or boxes is None else _given(Path(boxes), folder)
    return Question(model, chosen, kept, present_from, unsure_from, faces, aligned, min_face, precision, given, reading)


def refuse_conflicts(faces: Faces, boxes: object, aligned: bool) -> None:
    """See that one thing alone says where faces are.

    Raises:
        UsageError: several do, or `faces` is none of its words.
    """
    if faces not in get_args(Faces):
        raise UsageError(f"faces = {faces!r} is unknown", f"choose {', '.join(get_args(Faces))}")
    if sum((faces != "all", boxes is not None, aligned)) > 1:
        raise UsageError("--faces, --boxes and --aligned exclude each other", "use one of them")


def _edges(
    model: "ModelFacts | Model",
    thresholds: Mapping[str, float],
    unsure: float,
    bands: Mapping[str, tuple[float, float]],
) -> tuple[Values, Values]:
    """(A,) thresholds from which each attribute is present, and (A,) from which it is unsure."""
    known = model.attributes, model.groups
    moved = {index: value for name, value in thresholds.items() for index in attribute_indices([name], *known)}
    banded = {index: band for name, band in bands.items() for index in attribute_indices([name], *known)}
    for low, high in [(unsure, unsure), *((value, value) for value in moved.values()), *banded.values()]:
        if not 0 <= low <= high <= 1:
            raise UsageError(f"{low} .. {high} are no probabilities from low to high", "write them from 0 to 1")
    if both := sorted(set(moved) & set(banded)):
        name = model.attributes[both[0]]
        raise UsageError(f"{name} has both a --threshold and a band of --unsure", "leave one out")
    center = np.array(model.thresholds, np.float64)
    center[list(moved)] = list(moved.values())
    # rounded, so that 0.7 + 0.1 is the 0.8 that is written
    present_from, unsure_from = (center + unsure).round(9), (center - unsure).round(9)
    for index, band in banded.items():
        unsure_from[index], present_from[index] = band
    return present_from, unsure_from


def _given(file: Path, folder: str) -> GivenBoxes:
    """The boxes of a file, which is read once: it may be a pipe.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "check the path and its permissions") from error
    return GivenBoxes(load_boxes_csv(file, data), file, folder, hashlib.sha256(data).hexdigest())


def _listed(names: Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
