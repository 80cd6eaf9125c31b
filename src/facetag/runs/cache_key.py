"""What an answer depends on besides the photograph: the question, in other words. Answers to another are not kept."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from facetag.errors import DataError
from facetag.pipeline.question import Question
from facetag.results import Decider, ImageResult
from facetag.settings import settings_from

#: Raised whenever facetag answers the same question about the same bytes otherwise than before.
ANSWERS = 1


#: Fields of CacheKey that change what is written of an answer, not the answer: no network is asked again for them.
AT_WRITING = ("attributes", "thresholds", "unsure_from")


@dataclass(frozen=True)
class CacheKey:
    """The model and every setting that changes an answer; how a run goes, and on which device, is none of them.

    Attributes:
        command: predict or localize; one output belongs to one of them.
        model: its fingerprint.
        faces: all, thorough, dominant, aligned or boxes.
        boxes: SHA-256 of the user's boxes; then an answer belongs to a path and not to its content alone.
        attributes: those written, in the model's order; None when faces are only located.
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
    def decide(self) -> Callable[[ImageResult], ImageResult]:
        """From a stored result to what is written of it."""
        if self.attributes is None:
            return lambda result: result
        return Decider(self.attributes, self.thresholds, self.unsure_from or self.thresholds)

    @property
    def text(self) -> str:
        """Canonical JSON; without `raw` where raw files are refused, as by earlier versions."""
        return _canonical(_asked(asdict(self)))

    @property
    def digest(self) -> bytes:
        """SHA-256 over all but what is decided at writing: chosen attributes, thresholds and unsure bands."""
        values = {name: value for name, value in asdict(self).items() if name not in AT_WRITING}
        return hashlib.sha256(_canonical(_asked(values)).encode()).digest()


def cache_key_of(command: str, question: Question) -> CacheKey:
    """The cache key of a run that asks this question."""
    chosen = question.decide if question.chosen else None
    usual = "aligned" if question.aligned else question.faces
    return CacheKey(
        command=command,
        model=question.model.fingerprint,
        faces="boxes" if question.given else usual,
        boxes=question.given.digest if question.given else "",
        attributes=chosen.names if chosen else None,
        thresholds=chosen.present_from if chosen else (),
        unsure_from=chosen.unsure_from if chosen else (),
        min_face=float(question.min_face),
        max_pixels=question.reading.max_pixels,
        strict=question.reading.strict,
        precision=question.precision,
        raw=question.reading.raw,
    )


def _asked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if (name, value) != ("raw", "refuse")}


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of_version_1(text: str) -> bytes | None:
    """The digest under which answers are kept now that a journal of version 1 kept under this key, in JSON."""
    try:
        return settings_from(CacheKey, json.loads(text), "journal").digest
    except (DataError, TypeError, ValueError):
        return None
