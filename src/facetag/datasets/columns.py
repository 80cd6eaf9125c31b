"""CSV files that users bring: a header line in any order and case, then rows as long as it."""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from facetag.errors import DataError
from facetag.images.discover import wide_encoding

Row = tuple[int, dict[str, str]]  #: its line, and its fields by the header's names

_REMEDY = "the first line names the columns, file among them, and every other line has as many fields"


def read_rows(
    path: Path, needed: Collection[str], possible: Collection[str] = (), data: bytes | None = None
) -> Iterator[Row]:
    """The rows, names of columns in lower case, fields and names without spaces around them.

    Args:
        needed: columns that must be there beside `file`, which may be called `path` instead and is `file` here.
        possible: columns that may be there, once. All others are the caller's to ignore.
        data: the bytes of the file, where it was read already: a pipe can be read once.

    Raises:
        DataError: the file cannot be read or is UTF-16, a needed column is missing, one of these is there twice, or a
            row is longer or shorter than the header or names no file; names file and line.
    """
    try:
        data = path.read_bytes() if data is None else data
        if encoding := wide_encoding(data):
            raise DataError(f"{path} is text in {encoding}", f"write it as UTF-8: iconv -f {encoding} -t UTF-8")
        with io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = _header(path, [name.strip().lower() for name in next(reader, [])], needed, possible)
            for row in filter(None, reader):
                where = f"{path}, line {reader.line_num}"
                if len(row) != len(header):
                    raise DataError(f"{where}: {len(row)} fields where {len(header)} belong", _REMEDY)
                fields = dict(zip(header, map(str.strip, row), strict=True))
                if not fields["file"]:
                    raise DataError(f"{where}: no file name", _REMEDY)
                yield reader.line_num, fields
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", "check the path and its permissions") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}", _REMEDY) from None


def _header(path: Path, names: list[str], needed: Collection[str], possible: Collection[str]) -> list[str]:
    if "file" not in names:
        names = ["file" if name == "path" else name for name in names]
    once = ("file", *needed, *(name for name in possible if name in names))
    for name in once:
        if names.count(name) != 1:
            raise DataError(f"{path}, line 1: needs the column {name} once", _REMEDY)
    return names
