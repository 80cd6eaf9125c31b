"""Inputs that are put behind what is in an output: which of them are there, and at which place."""

import os
from collections.abc import Callable
from itertools import count

from facetag.errors import UsageError
from facetag.formats.path_encoding import one_line
from facetag.images.discover import name_below
from facetag.pipeline.loader import ReadSettings
from facetag.remote.url import as_url
from facetag.runs.journal import Journal


def as_seen(journal: Journal, reading: ReadSettings) -> Callable[[str], str]:
    """From an input that is appended to its path, as it is spelled in what is there: `./a.jpg` may be its `a.jpg`.

    What is returned raises UsageError where that path is there, seen from another folder, for another file.
    """
    name = name_below(reading.folder)
    spelled = journal.spelling(lambda path: name(reading.location(path)))
    here = os.path.realpath(reading.folder)
    others = [folder for folder in journal.folders() if folder != here]

    def seen_as(path: str) -> str:
        there = spelled(path)
        if not others or as_url(there) or journal.index_of(there) is None:
            return there
        if not any(_is_other(os.path.join(folder, there), reading.location(path)) for folder in others):
            return there
        if os.path.isabs(path):
            return path
        raise UsageError(
            f"{one_line(there)} is already there, of another folder", "name absolute paths, or choose another --out"
        )

    return seen_as


def indices(journal: Journal, free: int) -> Callable[[str], int]:
    """Of inputs that are appended: the place that they have, or the next free one."""
    following = count(free)

    def index(path: str) -> int:
        known = journal.index_of(path)
        return next(following) if known is None else known

    return index


def _is_other(there: str, here: str) -> bool:
    """Whether something lies there that is not what lies here."""
    try:
        return os.path.lexists(there) and not os.path.samefile(there, here)
    except OSError:  # one of both leads nowhere
        return True
