"""Buckets of S3, and of whatever speaks its language (AWS_ENDPOINT_URL).

s3fs logs in, as its documentation says; the requests of a listing and of an upload are made here. A listing comes a
page at a time, so that a prefix of ten million objects takes no memory. An output appears by one conditional request.
"""

import hashlib
import heapq
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO

from facetag.remote.patience import status_of
from facetag.remote.store import CHANGED, Entry, Store, blocks_of, new_files, stamp_of
from facetag.remote.url import Stamp, Url

PART = 32 << 20  #: bytes that are asked for or sent at a time, unless an upload would have more than _PARTS
_PARTS = 9_000


class S3Store(Store):
    """One bucket."""

    def connect(self) -> Any:
        own = import_module("fsspec").config.conf.get("s3", {}).get("config_kwargs", {})
        retries = {"retries": {"total_max_attempts": 1, "mode": "standard"}}
        files = new_files(
            "s3", use_listings_cache=False, max_concurrency=1, config_kwargs={"connect_timeout": 15, **own, **retries}
        )
        files.retries = 1
        return files

    def name(self, url: Url) -> str:
        return f"{self.login.host}/{url.path}"

    def entries(self, folder: Url) -> Iterator[Entry]:
        """What begins with the folder's prefix, up to the next slash.

        Raises:
            FileNotFoundError: nothing does, and it is not the whole bucket.
        """
        return in_order(self._listed(folder))

    def replace(self, url: Url, stream: BinaryIO, before: Stamp | None) -> None:
        """By one request, or by a multipart upload whose completion is one."""
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": f'"{before.tag}"'}
        stream.seek(0)
        first = stream.read(PART)
        tag = hashlib.md5(first, usedforsecurity=False).hexdigest()
        try:
            if len(first) < PART:
                self._call(url, "put_object", Body=first, **condition)
            else:
                tag = self._upload(url, stream, before, condition)
        except OSError as error:
            if status_of(error) not in (409, 412):
                raise
            if self.stamp(url).tag != tag:  # else it is ours: the answer to the first try got lost
                raise FileExistsError(CHANGED) from error

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

    def _upload(self, url: Url, stream: BinaryIO, before: Stamp | None, condition: dict[str, str]) -> str:
        """In parts; answers the tag of the whole. What is incomplete is taken back, and nobody ever saw it.

        Not every server heeds a condition here, so it is also looked at before.
        """
        size = max(PART, stream.seek(0, os.SEEK_END) // _PARTS + 1)
        stream.seek(0)
        upload = self._call(url, "create_multipart_upload")["UploadId"]
        try:
            parts = list[dict[str, Any]]()
            while data := stream.read(size):
                number = len(parts) + 1
                answer = self._call(url, "upload_part", Body=data, PartNumber=number, UploadId=upload)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            whole = {"Parts": parts}
            self._refuse_changed(url, before)
            done = self._call(url, "complete_multipart_upload", UploadId=upload, MultipartUpload=whole, **condition)
            return str(done["ETag"]).strip('"')
        except BaseException:
            with suppress(Exception):
                self._call(url, "abort_multipart_upload", UploadId=upload)
            raise

    def _listed(self, folder: Url) -> Iterator[Entry]:
        """In the order of whole keys, as the server has them."""
        prefix, after = folder.path, ""
        page: dict[str, Any] = {"IsTruncated": True}
        found = not prefix
        while page["IsTruncated"]:
            where = {"ContinuationToken": after} if after else {}
            page = self._call(folder, "list_objects_v2", Prefix=prefix, Delimiter="/", **where)
            after = page.get("NextContinuationToken", "")
            folders = (Entry(each["Prefix"][len(prefix) : -1], True) for each in page.get("CommonPrefixes", ()))
            objects = (
                Entry(each["Key"][len(prefix) :], False, stamp_of({**each, "size": each["Size"]}))
                for each in page.get("Contents", ())
            )
            for entry in heapq.merge(folders, objects, key=_key):
                found = True
                if entry.folder or entry.name:  # an object that is called as the prefix itself marks an empty folder
                    yield entry
        if not found:
            raise FileNotFoundError(2, os.strerror(2))

    def _call(self, url: Url, method: str, **arguments: Any) -> dict[str, Any]:
        """A request about an object, or about the whole bucket where a prefix is given."""
        where = {"Bucket": self.login.host, **({} if "Prefix" in arguments else {"Key": url.path})}
        call = partial(self.files.call_s3, method, **where, **arguments)
        return dict(self.asked(url, call))


def _key(entry: Entry) -> bytes:
    """Where an entry stands in a listing of S3."""
    return os.fsencode(entry.name) + (b"/" if entry.folder else b"")


def in_order(listed: Iterator[Entry]) -> Iterator[Entry]:
    """Entries as a folder on this machine has them, by the bytes of their names, from the order of whole keys, in which
    the slash behind a folder's name counts.

    The two differ where a name begins with a folder's and goes on with a byte before the slash: `a.jpg` comes before
    `a/`, but after `a`. So only such names wait, most often one at a time.

    >>> [each.name for each in in_order(iter([Entry("a.jpg", False), Entry("a", True), Entry("b", False)]))]
    ['a', 'a.jpg', 'b']
    """
    waiting: list[tuple[bytes, int, Entry]] = []
    for number, entry in enumerate(listed):
        key = _key(entry)
        heapq.heappush(waiting, (os.fsencode(entry.name), number, entry))
        first = next((at for at, byte in enumerate(key) if at and byte < ord("/")), len(key))
        while waiting and waiting[0][0] <= key[:first]:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
