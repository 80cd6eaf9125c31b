"""What can go wrong for a user, and the exit codes of every command.

An error is one line: what happened, to which file, and what to do about it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every facetag command."""

    OK = 0
    FATAL = 1
    USAGE = 2
    SOME_FAILED = 3
    LOCKED = 75
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class FacetagError(Exception):
    """A mistake that a user can mend: the message says what, the remedy says how.

    Attributes:
        remedy: what to do about it, one sentence; may be empty.
        exit_code: what a command exits with when this error ends it.
    """

    exit_code = ExitCode.FATAL

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        """One line that a terminal can show, whatever file names and contents it quotes."""
        message = super().__str__()
        line = f"{message}; {self.remedy}" if self.remedy else message
        return visible(line)


def visible(text: str) -> str:
    r"""A text without what a terminal would obey or not show: control characters, and marks that turn text round.

    >>> visible("a\u202eb\x1b[31m")
    'a\\u202eb\\x1b[31m'
    """
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class UsageError(FacetagError):
    """The command's words do not fit together."""

    exit_code = ExitCode.USAGE


class DataError(FacetagError):
    """A data set, label file or recipe is missing, half-present or malformed."""


class JournalError(FacetagError):
    """What lies beside an output is not the journal of a run that can be continued."""


class InputsGone(FacetagError):
    """Most of what an earlier run answered is not there any more: an archive that is not mounted, most likely."""


class OutputLocked(FacetagError):
    """Another run writes this output."""

    exit_code = ExitCode.LOCKED


class BudgetSpent(FacetagError):
    """More inputs failed than --fail-on allows, and the run was stopped."""


class InputsFailed(FacetagError):
    """The run is finished, and more inputs failed than --fail-on allows."""

    exit_code = ExitCode.SOME_FAILED


class Stopped(Exception):
    """A long query was ended because a signal came; whoever received the signal knows with which exit code."""


class Unforeseen(FacetagError):
    """A mistake of facetag's own."""


class ModelError(FacetagError):
    """A model folder is missing, incomplete, altered or of another version."""


class SidecarError(FacetagError):
    """A sidecar that lies beside an image cannot be used; it stays as it is."""


class ImageError(FacetagError):
    """One image cannot be used; a batch turns it into that image's record and goes on."""


class UnreadableImage(ImageError):
    """The bytes could not be read or are not a whole image."""


class UnsupportedImage(ImageError):
    """The bytes are of a kind that this installation does not decode."""


class ImageTooLarge(ImageError):
    """The image has more pixels than allowed (--max-pixels)."""


@contextmanager
def writing(name: object) -> Iterator[None]:
    """Turns an OSError inside into one line about `name`, what is written; a pipe whose reader has gone passes.

    Raises:
        FacetagError: it cannot be written; names it and why.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise FacetagError(f"cannot write {name}: {reason}", "choose another place or make room") from error
