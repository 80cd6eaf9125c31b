"""FaceTagger: a model, what finds its faces, what tags them and how images are read, put together in one place."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.errors import FacetagError
from facetag.images.decode import File, Raw, decode, read_file
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
from facetag.pipeline.items import Item, LoadedImage
from facetag.pipeline.loader import ReadSettings, attempted, decoded_image, read
from facetag.pipeline.question import Faces, question_of, refuse_conflicts
from facetag.pipeline.stages import Cascade, Tagging, answers
from facetag.results import ImageResult
from facetag.tagger import Tagger


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
        boxes: a CSV file (file, x, y, width, height) of the faces to tag, or what was read of it; nothing is looked
            for then.
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
        question: what it asks of images.
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
    ) -> None:
        refuse_conflicts(faces, boxes, aligned)
        self.device = torch_device(device)
        self.model = model if isinstance(model, Model) else load_model(str(model))
        half = is_half(precision, self.device)
        self.question = question_of(
            self.model,
            attributes=attributes,
            stored=stored,
            thresholds=thresholds,
            unsure=unsure,
            unsure_bands=unsure_bands,
            faces=faces,
            boxes=boxes,
            aligned=aligned,
            min_face=min_face,
            max_pixels=max_pixels,
            strict=strict,
            raw=raw,
            precision=precision,
            workers=workers,
            batch=batch,
            relative_to=relative_to,
        )
        asked = self.question
        self.given, self.attributes, self.decide = asked.given, asked.attributes, asked.decide
        self.localizer = None if asked.given or aligned else self._localizer(half, faces)
        self.tagger = Tagger(self.model, self.device, half) if asked.chosen else None
        edges = asked.present_from, asked.unsure_from
        tagging = Tagging(self.tagger, asked.kept, *edges) if self.tagger else None
        self.cascade = Cascade(self._face_source(faces), tagging, min_face)
        self.reading = replace(
            asked.reading,
            batch=batch or suiting(self.device),
            inference_workers=inference_workers(self.device),
            min_size=self.localizer.read_size if self.localizer else 0,
        )

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
        item: Any = read(os.fspath(image), self.reading) if _is_path(image) else self._in_memory(image, self.reading)
        # by a worker, as stream and predict ask: with another number of threads torch's last digits are others
        (answer,) = answers([item], self.cascade, self.reading, reader=_as_it_is)
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
        return Drawer(folder, lambda: self.localizer)

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
        return attempted("", lambda: self._in_memory(given, settings))

    def _in_memory(self, image: Any, settings: ReadSettings) -> Item:
        """What was read of the bytes of a file, a PIL image or an array."""
        if isinstance(image, bytes | bytearray | memoryview):
            file = File(bytes(image), True, len(image), 0)
            return attempted("", lambda: decoded_image("", file, settings))
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


def _as_it_is(item: Any, settings: ReadSettings) -> Item:
    """A Reader of what was read before."""
    read_before: Item = item
    return read_before


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)
