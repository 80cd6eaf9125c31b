"""What an answer depends on besides the photograph: the question, in other words. Answers to another are not kept."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.errors import DataError
from facetag.model import Model
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.stages import Cascade, Tagging

#: Raised whenever facetag answers the same question about the same bytes otherwise than before.
ANSWERS = 1


@dataclass(frozen=True)
class Basis:
    """The model and every setting that changes an answer; how a run goes, and on which device, is none of them.

    Attributes:
        command: predict or localize; one output belongs to one of them.
        model: its fingerprint.
        faces: all, thorough, dominant, aligned or boxes.
        boxes: SHA-256 of the user's boxes; then an answer belongs to a path and not to its content alone.
        attributes: those answered, in the model's order; None when faces are only located.
        thresholds, unsure_from: of those, the probabilities from which each is present, and unsure.
        min_face, max_pixels, strict, precision: as the options of these names.
        raw: what becomes of camera raw.
        answers: ANSWERS.
    """

    command: str
    model: str
    faces: str = "all"
    boxes: str = ""
    attributes: tuple[str, ...] | None = None
    thresholds: tuple[float, ...] = ()
    unsure_from: tuple[float, ...] = ()
    min_face: float = 0.0
    max_pixels: int = 0
    strict: bool = False
    precision: str = "float32"
    raw: str = "refuse"
    answers: int = ANSWERS

    @property
    def by_path(self) -> bool:
        """Whether the same bytes under another name may have another answer."""
        return bool(self.boxes)

    @property
    def text(self) -> str:
        """Canonical JSON; without `raw` where raw files are refused, as by earlier versions."""
        asked = {key: value for key, value in asdict(self).items() if (key, value) != ("raw", "refuse")}
        return json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).digest()


def basis_of(
    command: str,
    model: Model,
    cascade: Cascade,
    reading: ReadSettings,
    faces: str,
    boxes: Path | None = None,
    precision: str = "float32",
) -> Basis:
    """The Basis of a run.

    Args:
        faces: all, thorough, dominant or aligned; of no account with `boxes`, the file of the user's.

    Raises:
        DataError: that file cannot be read.
    """
    tag = cascade.tag
    return Basis(
        command=command,
        model=model.fingerprint,
        faces="boxes" if boxes else faces,
        boxes=_sha256(boxes) if boxes else "",
        attributes=tag.names if tag else None,
        thresholds=_chosen(tag, tag.thresholds) if tag else (),
        unsure_from=_chosen(tag, tag.unsure_from) if tag else (),
        min_face=float(cascade.min_face),
        max_pixels=reading.max_pixels,
        strict=reading.strict,
        precision=precision,
        raw=reading.raw,
    )


def _chosen(tag: Tagging, edges: NDArray[np.floating[Any]] | None) -> tuple[float, ...]:
    edges = tag.thresholds if edges is None else edges
    return tuple(float(edges[index]) for index in tag.chosen)


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "check the path and its permissions") from error
