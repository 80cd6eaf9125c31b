"""A set of paths in little memory, so that a list of a million names costs some 17 MB."""

import os
from hashlib import blake2b

_BUCKET = 2  #: bytes of a digest that choose a bucket
_REST = 12  #: bytes of it that are kept there


class SeenPaths:
    """A set of paths that can only grow. It keeps 14 bytes of a digest of each: the probability that two of a billion
    paths are taken for one is below 1e-15.

    >>> seen = SeenPaths()
    >>> seen.add("a.jpg"), seen.add("a.jpg"), "a.jpg" in seen, "b.jpg" in seen
    (True, False, True, False)
    """

    def __init__(self) -> None:
        self._buckets: dict[bytes, bytearray] = {}

    def add(self, path: str) -> bool:
        """Whether it is new."""
        key, rest = _digest(path)
        bucket = self._buckets.setdefault(key, bytearray())
        if _holds(bucket, rest):
            return False
        bucket += rest
        return True

    def __contains__(self, path: str) -> bool:
        key, rest = _digest(path)
        return _holds(self._buckets.get(key, b""), rest)

    def __bool__(self) -> bool:
        return bool(self._buckets)


def _digest(path: str) -> tuple[bytes, bytes]:
    digest = blake2b(os.fsencode(path), digest_size=_BUCKET + _REST).digest()
    return digest[:_BUCKET], digest[_BUCKET:]


def _holds(bucket: bytes | bytearray, rest: bytes) -> bool:
    """Whether it is among the bucket's digests, which stand one after another."""
    found = bucket.find(rest)
    while found >= 0 and found % _REST:
        found = bucket.find(rest, found + 1)
    return found >= 0
