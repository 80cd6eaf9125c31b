"""The one place where whatever goes wrong with one image becomes that image's record."""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import TypeVar

import cv2

from facetag.errors import FacetagError, ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.formats.path_encoding import one_line
from facetag.results import ImageResult, Status

Result = TypeVar("Result")

_OUT_OF_MEMORY = "not enough memory"  # `images.decode` begins so too
#: What a record says of a photograph that memory did not suffice for, even alone.
OUT_OF_MEMORY = f"{_OUT_OF_MEMORY} to look at the image"
NOT_DRAWN = "could not be drawn"  #: how the remark of a record begins whose drawing failed

_STATUS: dict[type[ImageError], Status] = {
    UnreadableImage: Status.UNREADABLE,
    UnsupportedImage: Status.UNSUPPORTED,
    ImageTooLarge: Status.TOO_LARGE,
}

_SAYS_MEMORY = ("out of memory", "can't allocate memory", "insufficient memory", "status_alloc_failed")

_log = logging.getLogger(__name__)


class Trouble(Enum):
    """Why a batch could not be answered together."""

    MEMORY = auto()  #: it was too large; a smaller one may do
    OTHER = auto()  #: some photograph in it is at fault


def attempt(path: str, work: Callable[[], Result]) -> Result | ImageResult:
    """What `work` returns, or a record that says why it could not; the run goes on.

    An error that nobody foresaw is `failed` with its type and words; its traceback goes to the log (`--debug`).
    """
    try:
        return work()
    except ImageError as error:
        return ImageResult(path, _STATUS.get(type(error), Status.FAILED), one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - one image never ends the run of a million
        _log.debug("%r failed", path, exc_info=True)
        reason = OUT_OF_MEMORY if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        return ImageResult(path, Status.FAILED, one_line(reason))


def remarked(record: ImageResult, trouble: str, work: Callable[[], object]) -> ImageResult:
    """The record of an answered image, with a remark (`trouble` and why) where further work on it fails."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the answer stands nevertheless
        _log.debug("%s: %r", trouble, record.path, exc_info=True)
        reason = str(error) if isinstance(error, FacetagError) else f"{type(error).__name__}: {error}"
        return replace(record, error=one_line("; ".join(filter(None, (record.error, f"{trouble}: {reason}")))))
    return record


def attempt_together(work: Callable[[], Result]) -> Result | Trouble:
    """What `work` returns for a batch, or in what way it failed; whose fault it was is for `attempt` to find out.

    The error is dropped here, and with it the tensors that its frames hold.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - each image of the batch gets its own attempt
        return Trouble.MEMORY if is_out_of_memory(error) else Trouble.OTHER


def wants_memory(record: ImageResult) -> bool:
    """Whether it says that memory ran out; with more of it free, another attempt may succeed."""
    return record.status.is_failure and record.error.startswith(_OUT_OF_MEMORY)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, on the device or here. Of a CPU, torch says so in a plain RuntimeError; OpenCV has a
    code for it, but keeps that in the class, for all threads."""
    torch = sys.modules.get("torch")  # where nobody has loaded it, it is not at fault
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError | cv2.error) and any(phrase in str(error).lower() for phrase in _SAYS_MEMORY)
