"""The one place where whatever goes wrong with one image becomes that image's record."""

import logging
from collections.abc import Callable
from typing import TypeVar

from facetag.batch.paths import one_line
from facetag.errors import ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.records import ImageRecord, Status

Result = TypeVar("Result")

_STATUS: dict[type[ImageError], Status] = {
    UnreadableImage: Status.UNREADABLE,
    UnsupportedImage: Status.UNSUPPORTED,
    ImageTooLarge: Status.TOO_LARGE,
}

_log = logging.getLogger(__name__)


def attempt(path: str, work: Callable[[], Result]) -> Result | ImageRecord:
    """What `work` returns, or a record that says why it could not; the run goes on.

    An error that nobody foresaw is `failed` with its type and words; its traceback goes to the log (`--debug`).
    """
    try:
        return work()
    except ImageError as error:
        return ImageRecord(path, _STATUS.get(type(error), Status.FAILED), one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - one image never ends the run of a million
        _log.debug("%r failed", path, exc_info=True)
        return ImageRecord(path, Status.FAILED, one_line(f"{type(error).__name__}: {error}"))
