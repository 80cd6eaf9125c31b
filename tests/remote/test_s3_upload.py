"""Answers to an upload that get lost, and what a server says of the same request then."""

import hashlib
from io import BytesIO
from types import SimpleNamespace

import pytest

from facetag.remote import s3
from facetag.remote.s3 import S3Store
from facetag.remote.url import Stamp, as_url

exceptions = pytest.importorskip("botocore.exceptions")
errors = pytest.importorskip("s3fs.errors")

OUT = as_url("s3://bucket/out/tags.csv")
DATA = b"ab" * 5
#: Of the parts "abab", "abab" and "ab".
TAG = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in (b"abab", b"abab", b"ab"))).hexdigest() + "-3"


@pytest.fixture
def upload(monkeypatch):
    """Sends DATA, with a status that the last request is answered with, and the tag of what lies there then."""
    monkeypatch.setattr(s3, "PART", 4)
    asked = []

    def run(status, tag):
        def call_s3(method, **arguments):
            asked.append(method)
            if method == "complete_multipart_upload":
                answer = {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}
                raise errors.translate_boto_error(exceptions.ClientError(answer, "CompleteMultipartUpload"))
            return {"UploadId": "1", "ETag": '"part"'}

        there = S3Store(OUT.login)
        stamps = [Stamp(1, "old"), Stamp(len(DATA), tag)]
        there._files = SimpleNamespace(call_s3=call_s3)
        monkeypatch.setattr(there, "stamp", lambda url: stamps.pop(0))
        there.replace(OUT, BytesIO(DATA), Stamp(1, "old"))

    run.asked = asked
    return run


@pytest.mark.parametrize("status", [404, 409, 412])
def test_an_upload_that_was_completed_and_not_answered_is_done(status, upload):
    upload(status, TAG)
    assert upload.asked[-1] == "complete_multipart_upload"


@pytest.mark.parametrize(("status", "kind"), [(404, FileNotFoundError), (409, FileExistsError), (412, FileExistsError)])
def test_what_another_wrote_meanwhile_is_not_taken_for_it(status, kind, upload):
    with pytest.raises(kind):
        upload(status, "somebody's")
    assert upload.asked[-1] == "abort_multipart_upload"
