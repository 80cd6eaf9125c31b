"""FaceTagger: a model, what finds its faces, what tags them and how images are read, put together in one place."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import attribute_indices
from facetag.datasets.boxes import load_boxes_csv
from facetag.errors import DataError, FacetagError, UsageError
from facetag.images.decode import MAX_PIXELS, File, Raw, decode, read_file
from facetag.images.discover import discover
from facetag.images.in_memory import pil_image, reduced, rgb_pixels
from facetag.images.resample import Image
from facetag.localization.base import Localizer
from facetag.localization.center_localizer import localizer_of
from facetag.model import Model, load_model
from facetag.model_folder import DEFAULT
from facetag.networks.execution.device import is_half, torch_device
from facetag.pipeline.batch_size import inference_workers, suiting
from facetag.pipeline.drawing import Drawer, drawn_at_full_size
from facetag.pipeline.face_sources import FaceSource, GivenBoxes, aligned, located_by
from facetag.pipeline.failures import attempt
from facetag.pipeline.loader import Item, LoadedImage, ReadSettings, decoded_image, read
from facetag.pipeline.stages import Cascade, Tagging, answer_batch, answers
from facetag.results import Decider, ImageResult
from facetag.tagger import Tagger

Faces = Literal["all", "thorough", "dominant"]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InMemory(LoadedImage):
    """An image that was given as pixels, of which no more are looked at than a JPEG of it would be decoded to.

    Attributes:
        min_size: at least so many pixels of the longer side are; 0 = all.
    """

    min_size: int = 0

    def at(self, min_size: float) -> Image:
        return reduced(self.pixels, max(min_size, self.min_size)) if self.min_size else self.pixels


class FaceTagger:
    """Finds the faces of images and tags each, as `facetag predict` does.

    >>> tagger = FaceTagger("fast", device="cpu", attributes=["Smiling"])
    >>> tagger.attributes
    ('Smiling',)

    Several threads may call one. It leaves the number of torch's threads as it found it.

    Args:
        model: a shipped model by name, a model folder, or a Model.
        device: auto, cpu, cuda or cuda:N.
        attributes: names and groups, in any case; None = all of the model's; empty = none, faces are only located.
        stored: names and groups that a run's journal keeps beyond these, so that other attributes can be asked for
            later without the networks; None = `attributes`.
        thresholds: name or group -> probability from which an attribute is present; else the model's.
        unsure: probabilities this near to a threshold are neither present nor absent.
        unsure_bands: name or group -> (low, high): unsure from low up to below high, present from there.
        faces: all; thorough: small ones too, looked for in every image; dominant: the one of the highest score.
        boxes: a CSV file (file, x, y, width, height) of the faces to tag; nothing is looked for then.
        aligned: each image is one face picture in CelebA's aligned frame, of any size.
        min_face: faces less high, in pixels of the image, are left out.
        max_pixels: larger images are refused.
        strict: whatever is decoded with a warning is refused.
        raw: camera raw is refused, or its embedded preview is used (extra `raw`).
        precision: float32, or bfloat16, whose answers differ a little.
        workers: threads that decode for `stream`; None = one a core, at most 4.
        batch: images that `stream` looks at together, at most; None = by the device. No answer depends on it.
        relative_to: folder that paths are seen from.

    Attributes:
        model, device, localizer, tagger: what it is made of; no localizer with `boxes` or `aligned`, no tagger without
            attributes.
        given: the boxes of the file; None without.
        cascade: from decoded images to results.
        decide: from a stored result to one of `attributes`, with its tags.
        reading: how images are read.

    Raises:
        ModelError: there is no such model, or it is damaged.
        UsageError: arguments do not fit together, or name no device, attribute or probability.
        DataError: the boxes cannot be read.
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT,
        *,
        device: str = "auto",
        attributes: Iterable[str] | None = None,
        stored: Iterable[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        unsure: float = 0.0,
        unsure_bands: Mapping[str, tuple[float, float]] | None = None,
        faces: Faces = "all",
        boxes: str | Path | None = None,
        aligned: bool = False,
        min_face: float = 0.0,
        max_pixels: int | None = None,
        strict: bool = False,
        raw: Raw = "refuse",
        precision: str = "float32",
        workers: int | None = None,
        batch: int | None = None,
        relative_to: str | Path = "",
    ) -> None:
        refuse_conflicts(faces, boxes, aligned)
        self.device = torch_device(device)
        self.model = model if isinstance(model, Model) else load_model(str(model))
        names = self.model.attributes
        chosen = range(len(names)) if attributes is None else attribute_indices(_listed(attributes), *self._known)
        kept = chosen if stored is None else attribute_indices(_listed(stored), *self._known)
        edges = self._edges(thresholds or {}, unsure, unsure_bands or {})
        half = is_half(precision, self.device)
        self.given = _given(Path(boxes), str(relative_to)) if boxes else None
        self.localizer = None if boxes or aligned else self._localizer(half, faces)
        self.tagger = Tagger(self.model, self.device, half) if chosen else None
        self.attributes = tuple(names[index] for index in chosen)
        tagging = Tagging(self.tagger, kept, *edges) if self.tagger else None
        self.decide = Decider(self.attributes, *(tuple(map(float, each[list(chosen)])) for each in edges))
        self.cascade = Cascade(self._face_source(faces), tagging, min_face)
        self.reading = ReadSettings(
            max_pixels or MAX_PIXELS,
            strict,
            workers or min(os.cpu_count() or 1, 4),
            batch or suiting(self.device),
            inference_workers(self.device),
            folder=str(relative_to),
            min_size=self.localizer.read_size if self.localizer else 0,
            raw=raw,
        )

    @property
    def _known(self) -> tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]:
        return self.model.attributes, self.model.groups

    def _edges(
        self, thresholds: Mapping[str, float], unsure: float, bands: Mapping[str, tuple[float, float]]
    ) -> tuple[Values, Values]:
        """(A,) thresholds from which each attribute is present, and (A,) from which it is unsure."""
        moved = {
            index: value for name, value in thresholds.items() for index in attribute_indices([name], *self._known)
        }
        banded = {index: band for name, band in bands.items() for index in attribute_indices([name], *self._known)}
        for low, high in [(unsure, unsure), *((value, value) for value in moved.values()), *banded.values()]:
            if not 0 <= low <= high <= 1:
                raise UsageError(f"{low} .. {high} are no probabilities from low to high", "write them from 0 to 1")
        if both := sorted(set(moved) & set(banded)):
            name = self.model.attributes[both[0]]
            raise UsageError(f"{name} has both a --threshold and a band of --unsure", "leave one out")
        center = np.array(self.model.thresholds, np.float64)
        center[list(moved)] = list(moved.values())
        # rounded, so that 0.7 + 0.1 is the 0.8 that is written
        present_from, unsure_from = (center + unsure).round(9), (center - unsure).round(9)
        for index, band in banded.items():
            unsure_from[index], present_from[index] = band
        return present_from, unsure_from

    def _localizer(self, half: bool, faces: Faces) -> Localizer:
        localizer = localizer_of(self.model, self.device, half)
        return localizer.thorough() if faces == "thorough" else localizer

    def _face_source(self, faces: Faces) -> FaceSource:
        if self.given:
            return self.given
        return located_by(self.localizer, dominant=faces == "dominant") if self.localizer else aligned

    def __call__(self, image: Any) -> ImageResult:
        """The faces of one image.

        Args:
            image: a path, the bytes of a file, a PIL image (its EXIF orientation is applied) or an array (H, W, 3) of
                RGB uint8. Grey arrays become RGB, of RGBA ones transparent pixels are laid on white.

        Returns:
            A result, also where the file or the bytes cannot be read: its status and error say why.

        Raises:
            UnsupportedImage: it is none of these, or an array of another kind.
        """
        item = read(os.fspath(image), self.reading) if _is_path(image) else self._in_memory(image, self.reading)
        (answer,) = answer_batch([item], self.cascade)
        return replace(answer.record, drawer=partial(self._draw, source=image))

    def stream(self, inputs: Any) -> Iterator[ImageResult]:
        """Results of any number of images, in order, in batches, while others are decoded; they hold no pixels.

        What cannot be read is a result too, whose status and error say why.

        Args:
            inputs: a path or an iterable, which may be endless, of anything that a call takes; a folder stands for the
                images in it.
        """
        source = [inputs] if _is_path(inputs) else inputs
        for answer in answers(self._found(source), self.cascade, self.reading, reader=self._read):
            source = answer.record.path or None
            yield replace(answer.record, drawer=partial(self._draw, source=source))

    def drawer(self, folder: Path) -> Drawer:
        """Draws results into a folder, the response maps of the localizer beside them."""
        return Drawer(folder, self.localizer)

    def _found(self, inputs: Iterable[Any]) -> Iterator[Any]:
        """Paths below those given, and images in memory as they are."""
        for are_paths, group in groupby(inputs, _is_path):
            if are_paths:
                yield from discover(map(os.fspath, group), relative_to=self.reading.folder)
            else:
                yield from group

    def _read(self, given: Any, settings: ReadSettings) -> Item:
        """A Reader of what `_found` yields."""
        if isinstance(given, str):
            return read(given, settings)
        return attempt("", lambda: self._in_memory(given, settings))

    def _in_memory(self, image: Any, settings: ReadSettings) -> Item:
        """What was read of the bytes of a file, a PIL image or an array."""
        if isinstance(image, bytes | bytearray | memoryview):
            file = File(bytes(image), True, len(image), 0)
            return attempt("", lambda: decoded_image("", file, settings))
        return InMemory("", rgb_pixels(image, settings.max_pixels), min_size=settings.min_size)

    def _draw(self, result: ImageResult, image: Any, source: Any) -> Any:
        """Behind `ImageResult.draw`: a PIL image of what was tagged, or of `image`."""
        image = source if image is None else image
        if image is None:
            raise FacetagError("the result holds no pixels to draw on", "pass the image to draw()")
        return pil_image(drawn_at_full_size(self._pixels(image), result))

    def _pixels(self, image: Any) -> NDArray[np.uint8]:
        if not _is_path(image) and not isinstance(image, bytes | bytearray | memoryview):
            return rgb_pixels(image, self.reading.max_pixels)
        data = read_file(self.reading.location(os.fspath(image))).data if _is_path(image) else bytes(image)
        return decode(data, max_pixels=self.reading.max_pixels).pixels


def refuse_conflicts(faces: Faces, boxes: str | Path | None, aligned: bool) -> None:
    """See that one thing alone says where faces are.

    Raises:
        UsageError: several do, or `faces` is none of its words.
    """
    if faces not in get_args(Faces):
        raise UsageError(f"faces = {faces!r} is unknown", f"choose {', '.join(get_args(Faces))}")
    if sum((faces != "all", boxes is not None, aligned)) > 1:
        raise UsageError("--faces, --boxes and --aligned exclude each other", "use one of them")


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


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _listed(names: Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
