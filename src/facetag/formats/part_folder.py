"""A folder of Parquet files, its parts, that are one table: what Spark, DuckDB, Polars and Arrow read as a data set.

As theirs, a whole one has a file `_SUCCESS`. Ours is JSON that names the parts, so that whoever reads it notices a part
that is missing, and a run leaves alone what would not change. It goes first and comes last when parts change.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from facetag.errors import UsageError, writing
from facetag.remote import writing as remote
from facetag.remote.url import Stamp, as_url
from facetag.results import SCHEMA_VERSION

SUCCESS = "_SUCCESS"
_PART = re.compile(r"part-[0-9]{5,}\.parquet")
_PASSED_OVER = (".", "_")  #: how names begin that nobody reads as parts
_MOST = 1 << 24  #: bytes of _SUCCESS: of some 100,000 parts


@dataclass(frozen=True)
class Part:
    """One file; `size` in bytes."""

    name: str
    rows: int
    size: int
    sha256: str


def is_folder(out: str) -> bool:
    """Whether an output is a folder of parts: it ends in a slash.

    >>> is_folder("tags.parquet/"), is_folder("s3://results/tags/"), is_folder("tags.parquet")
    (True, True, False)
    """
    url = as_url(out)
    return url.is_folder if url else out.endswith("/")


def name_of(number: int) -> str:
    """Of a part, by its place in the table.

    >>> name_of(7)
    'part-00007.parquet'
    """
    return f"part-{number:05}.parquet"


class PartFolder:
    """What lies in the folder, here or at a URL."""

    def __init__(self, out: str) -> None:
        self.out = out
        self._url = as_url(out)

    def make(self) -> None:
        """Where it is not there.

        Raises:
            FacetagError: it cannot be made.
        """
        if self._url:
            remote.make_folder(self._url.folder)
            return
        with writing(self.out):
            os.makedirs(self.out, exist_ok=True)

    def path(self, name: str, stamp: Stamp | None = None) -> str:
        """What the folder holds under a name, or may hold; `stamp` of what lies there now."""
        return self._url.folder.below(name, stamp=stamp) if self._url else os.path.join(self.out, name)

    def lying(self) -> Mapping[str, Stamp]:
        """The parts that lie there, and _SUCCESS.

        Raises:
            UsageError: there is something else that would be read with them.
            FacetagError: it cannot be listed.
        """
        found = self._listed()
        names = [name for name in sorted(found) if name == SUCCESS or not name.startswith(_PASSED_OVER)]
        if strange := [name for name in names if name != SUCCESS and not _PART.fullmatch(name)]:
            raise UsageError(f"{self.out} holds {strange[0]}, which is no part of a table", "choose another folder")
        return {name: found[name] for name in names}

    def first(self) -> str | None:
        """The path of the first part that lies there; raises as `lying`."""
        lying = self.lying()
        return next((self.path(name, lying[name]) for name in sorted(lying) if name != SUCCESS), None)

    def parts(self) -> tuple[Part, ...] | None:
        """Those that _SUCCESS names; None where it is missing or not ours."""
        path = self.path(SUCCESS)
        if url := as_url(path):
            data, _ = remote.ends_of(url, _MOST, 0) or (b"", b"")
        else:
            try:
                with open(path, "rb") as stream:
                    data = stream.read(_MOST)
            except OSError:
                return None
        with suppress(KeyError, OverflowError, RecursionError, TypeError, ValueError):
            said = json.loads(data)
            return tuple(map(_part, said["parts"])) if said["schema_version"] == SCHEMA_VERSION else None
        return None

    def remove(self, name: str) -> None:
        """What lies there under a name.

        Raises:
            FacetagError: it cannot be removed.
        """
        path = self.path(name)
        if url := as_url(path):
            remote.remove(url)
            return
        with writing(path), suppress(FileNotFoundError):
            os.unlink(path)

    def _listed(self) -> Mapping[str, Stamp]:
        if self._url:
            return remote.listed(self._url.folder)
        with writing(self.out), suppress(FileNotFoundError), os.scandir(self.out) as entries:
            return {entry.name: Stamp(entry.stat(follow_symlinks=False).st_size, "") for entry in entries}
        return {}


def text_of(parts: Sequence[Part]) -> str:
    """What _SUCCESS says."""
    said = {
        "schema_version": SCHEMA_VERSION, "rows": sum(part.rows for part in parts), "parts": [*map(asdict, parts)]
    }  # fmt: skip
    return json.dumps(said, indent=1) + "\n"


def _part(said: Mapping[str, Any]) -> Part:
    """Of JSON that anybody may have written.

    Raises:
        KeyError, OverflowError, TypeError, ValueError: it is none.
    """
    if not _PART.fullmatch(said["name"]):
        raise ValueError(f"{said['name']!r} is no name of a part")
    return Part(str(said["name"]), int(said["rows"]), int(said["size"]), str(said["sha256"]))
