"""Shards: which part of the inputs a run answers, so that several machines share an archive.

Every shard discovers everything and keeps what hashes to it. The shard of an input is told by its path as it is written
(`formats.path_encoding.escape`): the first 8 bytes of the SHA-256 of its UTF-8, as a big-endian number, modulo the
number of shards, plus 1. So all shards are to be given the same words in the same place, or --relative-to.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from facetag.errors import UsageError
from facetag.formats.path_encoding import escape


@dataclass(frozen=True, order=True)
class Shard:
    """Part `index` of `count`, 1 .. count.

    >>> Shard.parse("2/3").keeps("photos/a.jpg")
    False
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """The shard that `--shard i/n` names.

        Raises:
            UsageError: it is not i/n with i from 1 to n.
        """
        found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text)
        if found is None or int(found[1]) > int(found[2]):
            raise UsageError(f"--shard {text} is not i/n with i from 1 to n", "write --shard 1/4")
        return cls(int(found[1]), int(found[2]))

    def keeps(self, path: str) -> bool:
        """Whether this path (as in ImageResult) belongs to the shard."""
        return shard_key(path) % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard()  #: all inputs


class Enumeration:
    """The paths of one shard, as they are discovered; iterate once.

    Attributes:
        indices: of the paths that were given out and not yet taken from here; answers come in any order.
        inputs: of the whole run so far: how many.

    Args:
        index: from a path to its place; by default its number among the paths.
    """

    def __init__(self, paths: Iterable[str], shard: Shard, index: Callable[[str], int] | None = None) -> None:
        self.indices: dict[str, int] = {}
        self._index = index
        self.inputs = 0
        self._paths = paths
        self._shard = shard
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 over the paths of the whole run so far, each as it is written and a line feed."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[str]:
        for number, path in enumerate(self._paths):
            self.inputs += 1
            self._hash.update(as_line(path))
            if self._shard.keeps(path):
                self.indices[path] = self._index(path) if self._index else number
                yield path


def as_line(path: str) -> bytes:
    """What the digest of a run's inputs is told of each."""
    return f"{escape(path)}\n".encode()


def shard_key(path: str) -> int:
    """The number that says where a path belongs; see the module."""
    return int.from_bytes(hashlib.sha256(escape(path).encode()).digest()[:8], "big")
