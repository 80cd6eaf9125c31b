"""What a worker of a cluster does that holds the model. Nothing here knows Ray or the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from facetag.cluster.reading import Seconds
from facetag.cluster.versions import versions
from facetag.errors import FacetagError, ModelError
from facetag.pipeline.batch_size import BatchSize
from facetag.pipeline.items import Answer, Item, LoadedImage
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.timing import Stopwatch

if TYPE_CHECKING:
    from facetag.pipeline.stages import Cascade


@dataclass(frozen=True)
class Sight:
    """What a worker that holds the model asks of what it is sent.

    Attributes:
        model: a shipped model's name, or a folder that every machine sees, whole.
        device: as FaceTagger's.
        arguments: of FaceTagger.
        fingerprint: that the model must have.
        versions: of facetag and of what answers depend on, that the machine must have.
    """

    model: str
    device: str
    arguments: Mapping[str, Any]
    fingerprint: str
    versions: Mapping[str, str]


class ModelWorker:
    """A worker that holds the model."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._cascade: Cascade | None = None

    def prepare(self) -> tuple[str, ReadSettings]:
        """Load the model.

        Returns:
            The device, and how images are to be read for it.

        Raises:
            FacetagError: the machine has another model, or versions that may answer otherwise; or as FaceTagger says.
        """
        from facetag.predictor import FaceTagger

        _refuse_other_versions(self._sight.versions)
        tagger = FaceTagger(self._sight.model, device=self._sight.device, **self._sight.arguments)
        if tagger.model.fingerprint != self._sight.fingerprint:
            raise ModelError(f"the model {tagger.model.name} is another on a machine of the cluster", "copy it there")
        self._cascade = tagger.cascade
        return str(tagger.device), tagger.reading

    def infer(self, items: Sequence[Item]) -> tuple[list[Answer], Seconds]:
        """The answers to what was decoded, without pixels, and seconds."""
        from facetag.pipeline.stages import answer_batch

        assert self._cascade
        clock, size = Stopwatch(), BatchSize(max(len(items), 1))
        answers = answer_batch(list(map(_writable, items)), self._cascade, size, clock)
        return [replace(answer, image=None) for answer in answers], clock.seconds


def _writable(item: Item) -> Item:
    """With pixels of its own: those that come out of Ray's shared memory cannot be written, which decoded ones can."""
    return replace(item, pixels=np.array(item.pixels), again=[]) if isinstance(item, LoadedImage) else item


def _refuse_other_versions(expected: Mapping[str, str]) -> None:
    found = versions()
    if other := [name for name in expected if found.get(name) != expected[name]]:
        said = ", ".join(f"{name} {found.get(name)} instead of {expected[name]}" for name in other)
        raise FacetagError(f"a machine of the cluster has {said}", "install the same versions on all machines")
