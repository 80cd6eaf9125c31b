"""Label files as text: one row per image, a name and then numbers.

Reads every variant that copies of CelebA come in: a count line or none, a header or none (with or without `image_id`),
padding, tabs or commas between fields, LF or CRLF, a byte order mark. A row of the wrong length is an error, no guess.
Rows are found with numpy, which is what makes 202,599 x 40 labels a matter of half a second.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.errors import DataError

_BLANK = np.zeros(256, dtype=bool)
_BLANK[list(b" \t\n\r\v\f")] = True  # what bytes.split() splits on
_IMAGE_NAME = re.compile(rb".+\.(jpe?g|png)", re.IGNORECASE)
_AGAIN = "take the file from the original download again"


@dataclass(frozen=True)
class Table:
    """One label file.

    Attributes:
        path: the file.
        names: first field of each row, in file order, no name twice.
        columns: the header's names of the other fields, empty when the file has no header.
        values: (rows, fields - 1).
        lines: (rows,) the line that each row stands on, from 1.
    """

    path: Path
    names: list[str]
    columns: tuple[str, ...]
    values: NDArray[Any]
    lines: NDArray[np.int64]

    def values_of(self, names: list[str]) -> NDArray[Any]:
        """Rows of these images, (len(names), fields - 1).

        Raises:
            DataError: an image has no row here.
        """
        if names == self.names:
            return self.values
        row_of = {name: row for row, name in enumerate(self.names)}
        try:
            return self.values[[row_of[name] for name in names]]
        except KeyError as absent:
            raise DataError(f"{self.path} has no row for {absent.args[0]}", _AGAIN) from None

    def refuse_rows(self, wrong: NDArray[np.bool_], what: str) -> None:
        """Raises DataError naming the first line where the mask (rows,) is set."""
        if wrong.any():
            raise DataError(f"{self.path}, line {self.lines[wrong.argmax()]}: {what}", _AGAIN)


def read_labels(path: Path) -> Table:
    """A file of yes and no: fields 1, and -1 or 0; the header tells how many. Values are int8 in {0, 1}.

    Raises:
        DataError: missing, malformed, or not as long as its count line says; names file and line.
    """
    head = _read_head(path)
    if not head.columns:
        raise DataError(f"{path} has no line with the names of its columns", _AGAIN)
    begins, lines = _field_starts(path, head, 1 + len(head.columns))
    text = np.frombuffer(head.body + b"  ", dtype=np.uint8)  # padded: a field's neighbours are looked at
    at = begins[:, 1:]
    first, second, ends_after_one = text[at], text[at + 1], _BLANK[text[at + 1]]
    yes = (first == ord("1")) & ends_after_one
    no = (first == ord("0")) & ends_after_one
    no |= (first == ord("-")) & (second == ord("1")) & _BLANK[text[np.minimum(at + 2, len(text) - 1)]]
    table = Table(path, _names(path, head), head.columns, yes.astype(np.int8), lines)
    table.refuse_rows(~(yes | no).all(axis=1), "a label that is not 1, 0 or -1")
    return table


def read_numbers(path: Path, fields: int) -> Table:
    """A file of `fields` finite numbers after each name. Values are float64.

    Raises:
        DataError: missing, malformed, or not as long as its count line says; names file and line.
    """
    head = _read_head(path)
    _, lines = _field_starts(path, head, 1 + fields)
    words = head.body.split()
    del words[:: 1 + fields]
    values = np.array([_number(word) for word in words]).reshape(-1, fields)
    table = Table(path, _names(path, head), head.columns, values, lines)
    table.refuse_rows(~np.isfinite(values).all(axis=1), "a field that is not a number")
    return table


def whole_numbers(table: Table, largest: int) -> NDArray[np.int64]:
    """The table's single column as integers from 0 to `largest`, (rows,).

    Raises:
        DataError: one is not; names file and line.
    """
    values = table.values[:, 0]
    table.refuse_rows((values != np.floor(values)) | (values < 0) | (values > largest), f"not one of 0 to {largest}")
    return values.astype(np.int64)


@dataclass(frozen=True)
class _Head:
    count: int | None
    columns: tuple[str, ...]
    body: bytes
    first_line: int


def _read_head(path: Path) -> _Head:
    """What stands above the rows, and the rows' bytes with blanks between fields and a newline at the end."""
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", "check the path and its permissions") from None
    if b"," in data[: data.find(b"\n") + 1]:
        data = data.replace(b",", b" ")
    count, line = None, 1
    first, _, rest = data.partition(b"\n")
    words = first.split()
    if len(words) == 1 and words[0].isdigit() and len(words[0]) < 10:
        count, line, data = int(words[0]), 2, rest
        first, _, rest = data.partition(b"\n")
        words = first.split()
    columns: tuple[str, ...] = ()
    if words and not _IMAGE_NAME.fullmatch(words[0]) and np.isnan(_number(words[-1])):
        names = words[1:] if words[0].lower() == b"image_id" else words
        columns, line, data = tuple(os.fsdecode(name) for name in names), line + 1, rest
    return _Head(count, columns, data.rstrip() + b"\n", line)


def _field_starts(path: Path, head: _Head, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets into the body where fields begin, (rows, width), and each row's line, (rows,)."""
    text = np.frombuffer(head.body, dtype=np.uint8)
    blank = _BLANK[text]
    begins = np.flatnonzero(~blank & np.concatenate(([True], blank[:-1])))
    counts = np.diff(np.searchsorted(begins, np.flatnonzero(text == ord("\n"))), prepend=0)
    wrong = np.flatnonzero((counts != 0) & (counts != width))
    if wrong.size:
        line = head.first_line + wrong[0]
        raise DataError(f"{path}, line {line}: {counts[wrong[0]]} fields where {width} belong", _AGAIN)
    lines = head.first_line + np.flatnonzero(counts)
    if not len(lines):
        raise DataError(f"{path} has no rows", _AGAIN)
    if head.count not in (None, len(lines)):
        raise DataError(f"{path} says {head.count} rows on its first line but has {len(lines)}", _AGAIN)
    return begins.reshape(-1, width), lines


def _names(path: Path, head: _Head) -> list[str]:
    """The first field of each row, or a DataError that names one that comes twice."""
    names = [os.fsdecode(line.split(None, 1)[0]) for line in head.body.split(b"\n") if line and not line.isspace()]
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(f"{path} has two rows for {twice}", _AGAIN)
    return names


def _number(word: bytes) -> float:
    """The number, or nan: the caller knows the line."""
    try:
        return float(word)
    except ValueError:
        return float("nan")
