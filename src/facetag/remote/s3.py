"""Buckets of S3, and of whatever speaks its language (AWS_ENDPOINT_URL).

s3fs logs in, as its documentation says; the requests of a listing and of an upload are made here. A listing comes a
page at a time, so that a prefix of ten million objects takes no memory. An output appears by one conditional request.
"""

import hashlib
import heapq
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from itertools import chain, count
from typing import Any, BinaryIO

from facetag.remote.patience import status_of
from facetag.remote.store import CHANGED, Entry, Store, blocks_of, new_files, reason_of, stamp_of
from facetag.remote.url import Stamp, Url

PART = 32 << 20  #: bytes that are asked for or sent at a time, unless an upload would have more than _PARTS
_PARTS = 9_000
_WAITING = 1_000  #: names that wait for a folder before somebody asks whether it is there


class S3Store(Store):
    """One bucket."""

    def connect(self) -> Any:
        own = import_module("fsspec").config.conf.get("s3", {}).get("config_kwargs", {})
        retries = {"retries": {"total_max_attempts": 1, "mode": "standard"}}
        files = new_files(
            "s3", use_listings_cache=False, max_concurrency=1, config_kwargs={"connect_timeout": 15, **own, **retries}
        )
        files.retries = 1
        split = files.split_path

        def whole_key(path: str) -> tuple[str, str, None]:
            """s3fs takes `?versionId=` in a key for a version of another one."""
            bucket = split(path)[0]
            return bucket, path[len(bucket) + 1 :], None

        files.split_path = whole_key
        return files

    def name(self, url: Url) -> str:
        return f"{self.login.host}/{url.path}"

    def entries(self, folder: Url) -> Iterator[Entry]:
        """What begins with the folder's prefix, up to the next slash.

        Raises:
            FileNotFoundError: nothing does, and it is not the whole bucket.
            PermissionError: it may not be listed.
            OSError: the listing breaks; also where the server says one of these two after a first page.
        """
        return in_order(self._listed(folder), lambda name: self._holds(folder.below(name, is_folder=True)))

    def replace(self, url: Url, stream: BinaryIO, before: Stamp | None) -> None:
        """By one request, or by a multipart upload whose completion is one."""
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": f'"{before.tag}"'}
        stream.seek(0)
        first = stream.read(PART)
        if len(first) < PART:
            with self._once(url, _md5(first).hex()):
                self._call(url, "put_object", Body=first, **condition)
        else:
            self._upload(url, stream, before, condition)

    def make_folder(self, folder: Url) -> None:
        """There are none."""

    def remove(self, url: Url) -> None:
        """Also twice."""
        self._call(url, "delete_object")

    def _read(self, url: Url, most: int) -> bytes:
        """By one request, so that the bytes are of one state of the object."""
        try:
            return bytes(self.files.cat_file(self.name(url), start=0, end=most))
        except OSError as error:
            if status_of(error) == 416:  # a range of nothing
                return b""
            raise

    def _blocks(self, url: Url, most: int) -> Iterator[bytes]:
        """By one request each, all about the state that the object had at the first."""
        with self.files.open(self.name(url), "rb", block_size=PART, cache_type="none") as stream:
            yield from blocks_of(stream, most, PART)

    @contextmanager
    def _once(self, url: Url, tag: str) -> Iterator[None]:
        """A request that writes what has this tag. Where an answer got lost it is made again, and refused because the
        first try was heeded: that is no error."""
        try:
            yield
        except OSError as error:
            status = status_of(error)
            if status not in (404, 409, 412):
                raise
            if self.stamp(url).tag == tag:
                return
            if status == 404:
                raise
            raise FileExistsError(CHANGED) from error

    def _upload(self, url: Url, stream: BinaryIO, before: Stamp | None, condition: dict[str, str]) -> None:
        """In parts. What is incomplete is taken back, and nobody ever saw it.

        Not every server heeds a condition here, so it is also looked at before.
        """
        size = max(PART, stream.seek(0, os.SEEK_END) // _PARTS + 1)
        stream.seek(0)
        upload = self._call(url, "create_multipart_upload")["UploadId"]
        try:
            parts, sums = list[dict[str, Any]](), b""
            while data := stream.read(size):
                number = len(parts) + 1
                answer = self._call(url, "upload_part", Body=data, PartNumber=number, UploadId=upload)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
                sums += _md5(data)
            whole = {"Parts": parts}
            self._refuse_changed(url, before)
            with self._once(url, f"{_md5(sums).hex()}-{len(parts)}"):
                self._call(url, "complete_multipart_upload", UploadId=upload, MultipartUpload=whole, **condition)
        except BaseException:
            with suppress(Exception):
                self._call(url, "abort_multipart_upload", UploadId=upload)
            raise

    def _listed(self, folder: Url) -> Iterator[Entry]:
        """In the order of whole keys, as the server has them."""
        found = not folder.path
        for page in self._pages(folder):
            for entry in _entries_of(page, folder.path):
                found = True
                if entry.folder or entry.name:  # an object that is called as the prefix itself marks an empty folder
                    yield entry
        if not found:
            raise FileNotFoundError(2, os.strerror(2))

    def _pages(self, folder: Url) -> Iterator[dict[str, Any]]:
        """The answers of one listing."""
        token = seen = ""
        for number in count(1):
            where = {"ContinuationToken": token} if token else {}
            try:
                page = self._call(folder, "list_objects_v2", Prefix=folder.path, Delimiter="/", **where)
            except (FileNotFoundError, PermissionError) as error:
                if not token:
                    raise
                raise OSError(reason_of(error, folder)) from error  # the folder is there, and is not closed
            if "IsTruncated" not in page:
                raise OSError("the server's answer is no listing")
            yield page
            if not page["IsTruncated"]:
                return
            token = page.get("NextContinuationToken", "")
            if token in ("", seen):
                raise OSError("its listing does not go on")
            if number & (number - 1) == 0:  # so a ring of any length is noticed, and one token remembered
                seen = token

    def _holds(self, folder: Url) -> bool:
        """Whether anything begins with the folder's prefix. Where it may not be listed, nobody enters it anyway."""
        try:
            return bool(self._call(folder, "list_objects_v2", Prefix=folder.path, MaxKeys=1).get("Contents"))
        except (FileNotFoundError, PermissionError):
            return False

    def _call(self, url: Url, method: str, **arguments: Any) -> dict[str, Any]:
        """A request about an object, or about the whole bucket where a prefix is given."""
        where = {"Bucket": self.login.host, **({} if "Prefix" in arguments else {"Key": url.path})}
        call = partial(self.files.call_s3, method, **where, **arguments)
        return dict(self.asked(url, call))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _entries_of(page: dict[str, Any], prefix: str) -> Iterator[Entry]:
    """What an answer names, in the order of whole keys.

    Raises:
        OSError: some of that does not begin with the prefix.
    """
    folders = (Entry(_below(each["Prefix"].removesuffix("/"), prefix), True) for each in page.get("CommonPrefixes", ()))
    objects = (
        Entry(_below(each["Key"], prefix), False, stamp_of({**each, "size": each.get("Size")}))
        for each in page.get("Contents", ())
    )
    return heapq.merge(folders, objects, key=_key)


def _below(key: str, prefix: str) -> str:
    if not key.startswith(prefix):
        raise OSError("its listing names what lies elsewhere")
    return key[len(prefix) :]


def _key(entry: Entry) -> bytes:
    """Where an entry stands in a listing of S3."""
    return os.fsencode(entry.name) + (b"/" if entry.folder else b"")


def in_order(listed: Iterator[Entry], is_folder: Callable[[str], bool] = lambda name: False) -> Iterator[Entry]:
    """Entries as a folder on this machine has them, by the bytes of their names, from the order of whole keys, in which
    the slash behind a folder's name counts.

    The two differ where a name begins with a folder's and goes on with a byte before the slash: `a.jpg` comes before
    `a/`, but after `a`. So only such names wait, most often one at a time. Where many do, as `IMG-1.jpg` and what
    follows it do for `IMG/`, it is asked whether the folder is there. If it is, it comes at once.

    Args:
        is_folder: whether a folder is there. It is asked once about a name, and when over a thousand wait for that.

    >>> [each.name for each in in_order(iter([Entry("a.jpg", False), Entry("a", True), Entry("b", False)]))]
    ['a', 'a.jpg', 'b']
    """
    waiting: list[tuple[bytes, int, Entry]] = []
    known: dict[bytes, bool] = {}
    for number, entry in enumerate(listed):
        name, key = os.fsencode(entry.name), _key(entry)
        if entry.folder and known.get(name):  # it came already
            continue
        heapq.heappush(waiting, (name, number, entry))
        folders = (key[:at] for at, byte in enumerate(key) if at and byte < ord("/"))
        for first in chain((each for each in folders if each not in known), [key]):
            while waiting and waiting[0][0] <= first:
                yield heapq.heappop(waiting)[2]
            if len(waiting) <= _WAITING or first == key:
                break
            known[first] = is_folder(os.fsdecode(first))
            if known[first]:
                heapq.heappush(waiting, (first, number, Entry(os.fsdecode(first), True)))
    while waiting:
        yield heapq.heappop(waiting)[2]
