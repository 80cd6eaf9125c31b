"""What `--exclude` leaves alone in folders: patterns as in a .gitignore file that lies in the input folder."""

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from facetag.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: A name may hold a newline, which the library's regular expressions take for an end; no name holds a NUL.
_ONE_LINE = str.maketrans("\n", "\0")


class Exclusion:
    """Whether gitignore patterns leave a file or a folder alone; of several that match, the last one decides.

    Three things differ from a .gitignore file, because a command line is none: a leading `#` is a name's first
    character, a pattern may begin with the input folder as the user wrote it, and a pattern that can match nothing is
    an error.

    >>> excluded = Exclusion(["*.png", "!keep.png", "photos/old/"])
    >>> [excluded(f"photos/{name}", name, is_folder=False) for name in ("a.png", "keep.png", "sub/b.png", "old")]
    [True, False, True, False]
    >>> excluded("photos/old", "old", is_folder=True)
    True

    Raises:
        UsageError: one of these is no pattern.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        for pattern in self._patterns:
            _refuse_what_matches_nothing(pattern)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def __call__(self, path: str, inner: str, is_folder: bool) -> bool:
        """Whether the walk passes over it; whoever asks has entered all folders above it.

        Args:
            path: as the user would write it.
            inner: the same below the input.
        """
        files, folders = _specs(self._patterns, path.removesuffix(inner))
        return (folders if is_folder else files).match_file(inner.translate(_ONE_LINE))


@lru_cache(maxsize=16)  # a run has few inputs, or a great many after one another
def _specs(patterns: tuple[str, ...], above: str) -> "tuple[GitIgnoreSpec, GitIgnoreSpec]":
    """What decides about files and about folders below the input `above`, which ends in a slash.

    Folders have a decider of their own because the library is asked about files: without the slash at its end, a
    pattern for folders alone matches a folder as if it were a file.
    """
    below = [_from_input(pattern, above) for pattern in patterns]
    return _spec(below), _spec([pattern.rstrip("/") for pattern in below])


def _spec(patterns: Iterable[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # here, because it takes 60 ms, and few runs exclude anything

    escaped = (f"\\{pattern}" if pattern.startswith("#") else pattern for pattern in patterns)
    return GitIgnoreSpec.from_lines((pattern.translate(_ONE_LINE) for pattern in escaped), backend="simple")


def _from_input(pattern: str, above: str) -> str:
    """The pattern without the input that it may begin with, held to begin there: `photos/a` in `photos` is `/a`."""
    negated = pattern.startswith("!")
    plain = pattern[negated:]
    rest = plain.removeprefix(above)
    return pattern if rest in ("", plain) else f"{'!' * negated}/{rest}"


def _refuse_what_matches_nothing(pattern: str) -> None:
    try:
        with warnings.catch_warnings(action="error"):  # of brackets that Python may read otherwise one day
            (compiled,) = _spec([pattern]).patterns
            is_understood = compiled.include is not None and bool(pattern.lstrip("!").strip("/"))
    except (ValueError, re.error, Warning):
        is_understood = False
    if not is_understood:
        raise UsageError(f"--exclude {pattern!r} is no pattern", "write it as in .gitignore, a \\ before a bracket")
