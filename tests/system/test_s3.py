"""Buckets, behind a real server that speaks S3 (moto's) and a proxy in front of it that lets requests fail."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
from faulty_server import faulty_server
from photographs import make_photographs

from facetag import cli
from facetag.formats import parts
from facetag.images.discover import discover
from facetag.remote import patience, reading, s3, store
from facetag.remote.url import as_url

pytestmark = [pytest.mark.system, pytest.mark.process]
boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")
pytest.importorskip("s3fs")

IN = "s3://photos/in/"
KEYS = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "pa55word", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def behind():
    """The port of moto's server."""
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def faults(behind, monkeypatch):
    """The proxy, which passes everything on until it is told not to."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(patience, "FIRST", 0.05)
    with faulty_server(behind) as faults:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faults.address)
        store.end_connections()
        yield faults
    store.end_connections()


@pytest.fixture
def bucket(behind, faults):
    """boto3's bucket `photos`, empty, asked past the proxy."""
    bucket = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{behind}").Bucket("photos")
    bucket.create()
    bucket.objects.delete()  # moto keeps what tests of other files put there
    yield bucket
    bucket.object_versions.delete()
    bucket.objects.delete()
    bucket.delete()


@pytest.fixture
def photos(bucket, tmp_path):
    """Four photos, in the folder `in` and at IN."""
    for path in sorted(make_photographs(tmp_path / "in", 4).iterdir()):
        bucket.put_object(Key=f"in/{path.name}", Body=path.read_bytes())


@pytest.fixture
def facetag(model_folder, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)

    def run(command, *words):
        model = ["--model", str(model_folder)] if command == "predict" else []
        code = cli.run([command, *map(str, words), *model])
        return code, capfdbinary.readouterr().err.decode()

    return run


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def body(bucket, key):
    return bucket.Object(key).get()["Body"].read()


def gets(faults, name):
    return sum(method == "GET" and name in path for method, path in faults.seen)


def test_a_bucket_is_answered_as_a_folder_and_a_rerun_only_lists(facetag, photos, faults, tmp_path):
    assert facetag("predict", "in", "--out", "local.csv")[0] == 0
    code, err = facetag("predict", IN, "--out", "s3.csv")
    assert code == 0, err
    assert (tmp_path / "s3.csv").read_text().replace(IN, "in/") == (tmp_path / "local.csv").read_text()
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in err + (tmp_path / "s3.csv.run.json").read_text()
    assert [gets(faults, f"00000{number}.jpg") for number in range(4)] == [1] * 4
    assert not [path for method, path in faults.seen if method == "HEAD"]

    faults.seen.clear()
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 0
    assert len(faults.seen) == 1 and "list-type=2" in faults.seen[0][1]


def test_an_object_that_changed_between_two_runs_is_asked_again_and_no_other(facetag, photos, bucket, faults, tmp_path):
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 0
    faults.seen.clear()
    (tmp_path / "in/000001.jpg").write_bytes((tmp_path / "in/000003.jpg").read_bytes() + b"other")
    bucket.upload_file(str(tmp_path / "in/000001.jpg"), "in/000001.jpg")
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 0
    assert [gets(faults, f"00000{number}.jpg") for number in range(4)] == [0, 1, 0, 0]
    assert facetag("predict", "in", "--out", "local.csv")[0] == 0
    assert (tmp_path / "s3.csv").read_text().replace(IN, "in/") == (tmp_path / "local.csv").read_text()


@pytest.mark.parametrize("fault", ["slow down", "drop", "cut"])
@pytest.mark.parametrize("what", ["list-type=2", "000002.jpg"])
def test_what_fails_for_a_while_is_asked_again(fault, what, facetag, photos, faults, tmp_path):
    faults.first(3, fault, "GET", what)
    code, err = facetag("predict", IN, "--out", "s3.csv")
    assert code == 0, err
    assert len({row["path"] for row in rows(tmp_path / "s3.csv")}) == 4 and gets(faults, what) == 4


def test_the_time_that_a_server_names_is_waited_for(facetag, photos, faults):
    faults.first(1, "slow down 2", "GET", "000002.jpg")
    began = time.monotonic()
    assert store.store_of(as_url(IN)).read(as_url(f"{IN}000002.jpg"), 10) and time.monotonic() - began >= 2


def test_an_object_that_keeps_failing_is_a_row_and_is_asked_again_by_the_next_run(facetag, photos, faults, tmp_path):
    faults.first(99, "slow down", "GET", "000002.jpg")
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 3
    failed = [(row["path"], row["error"]) for row in rows(tmp_path / "s3.csv") if row["status"] == "unreadable"]
    assert failed == [(f"{IN}000002.jpg", "the server answered 503")]
    assert gets(faults, "000002.jpg") == patience.TRIES
    faults.first(0, "", "", "")
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 0
    assert not [row for row in rows(tmp_path / "s3.csv") if row["status"] == "unreadable"]


def test_a_listing_that_keeps_failing_ends_the_run_and_loses_no_row(facetag, photos, faults, tmp_path):
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 0
    before = (tmp_path / "s3.csv").read_bytes()
    faults.first(99, "slow down", "GET", "list-type=2")
    code, err = facetag("predict", IN, "--out", "s3.csv")
    assert code == 1 and f"{IN} cannot be listed: the server answered 503" in err
    assert (tmp_path / "s3.csv").read_bytes() == before


def test_a_login_that_expires_while_a_bucket_is_listed_loses_no_row(facetag, photos, tmp_path, monkeypatch):
    call = s3.S3Store._call

    def small_pages(self, url, method, **arguments):
        if "ContinuationToken" in arguments and expired:
            raise PermissionError("The provided token has expired.")
        return call(self, url, method, **arguments, **({"MaxKeys": 3} if "Prefix" in arguments else {}))

    expired = []
    monkeypatch.setattr(s3.S3Store, "_call", small_pages)
    assert facetag("predict", IN, "--out", "s3.csv")[0] == 0
    before = (tmp_path / "s3.csv").read_bytes()
    expired.append(True)
    code, err = facetag("predict", IN, "--out", "s3.csv")
    assert code == 1 and f"{IN} cannot be listed: " in err
    assert (tmp_path / "s3.csv").read_bytes() == before
    assert len({row["path"] for row in rows(tmp_path / "s3.csv")}) == 4


def test_more_objects_than_a_page_holds_are_listed_in_the_order_of_a_folder(bucket, faults):
    names = [f"{number:04}.jpg" for number in range(1003)] + ["a.jpg", "a/b.jpg", "a-b.jpg", "x//y.jpg"]
    for name in names:
        bucket.put_object(Key=f"many/{name}", Body=b"")
    found = [path.removeprefix("s3://photos/many/") for path in discover(["s3://photos/many/"])]
    assert found == [*names[:1003], "a/b.jpg", "a-b.jpg", "a.jpg", "x//y.jpg"]


def test_what_is_not_there_is_said(facetag, photos, tmp_path):
    assert facetag("predict", f"{IN}none.jpg", "s3://photos/none/", "s3://nobodys/", "--out", "s3.csv")[0] == 3
    assert {(row["path"], row["error"]) for row in rows(tmp_path / "s3.csv")} == {
        (path, "No such file or directory") for path in (f"{IN}none.jpg", "s3://photos/none/", "s3://nobodys/")
    }


OUT = ("--out", "s3://photos/out/tags.csv", "--journal", "tags.journal")


def test_an_output_appears_by_one_conditional_request(facetag, photos, bucket, faults, tmp_path):
    assert facetag("predict", "in", "--out", "local.csv")[0] == 0
    for _ in range(2):
        faults.seen.clear()
        code, err = facetag("predict", "in", *OUT)
        assert code == 0, err
        assert body(bucket, "out/tags.csv") == (tmp_path / "local.csv").read_bytes()
        assert [method for method, _ in faults.seen if method in ("PUT", "POST")] == ["PUT"]


@pytest.mark.parametrize("fault", ["slow down", "drop", "lose"])
def test_an_upload_that_fails_for_a_while_is_done_once(fault, facetag, photos, bucket, faults, tmp_path):
    assert facetag("predict", "in", "--out", "local.csv")[0] == 0
    faults.first(2, fault, "PUT", "tags.csv")
    code, err = facetag("predict", "in", *OUT)
    assert code == 0, err
    assert body(bucket, "out/tags.csv") == (tmp_path / "local.csv").read_bytes()


def test_what_another_program_writes_meanwhile_is_left_alone(facetag, photos, bucket, faults):
    def late(method, path):
        if method == "PUT" and "tags.csv" in path:
            bucket.put_object(Key="out/tags.csv", Body=b"somebody's own")

    faults.choose = late
    code, err = facetag("predict", "in", *OUT)
    assert code == 1 and "s3://photos/out/tags.csv was written by another program meanwhile" in err
    assert body(bucket, "out/tags.csv") == b"somebody's own"
    faults.first(0, "", "", "")
    code, err = facetag("predict", "in", *OUT)
    assert code == 2 and "was not written by facetag and would be replaced" in err
    assert facetag("predict", "in", *OUT, "--overwrite")[0] == 0
    assert body(bucket, "out/tags.csv").startswith(b"schema_version")


def test_a_large_output_comes_in_parts_and_an_upload_that_ends_early_leaves_the_old_one(
    facetag, photos, bucket, faults, tmp_path, monkeypatch
):
    monkeypatch.setattr(s3, "PART", 5 << 20)
    whole = os.urandom(11 << 20)
    out = as_url("s3://photos/out/large.bin")
    there = store.store_of(out)
    (tmp_path / "large").write_bytes(whole)
    with open(tmp_path / "large", "rb") as stream:
        there.replace(out, stream, None)
    assert body(bucket, "out/large.bin") == whole
    old = there.stamp(out)
    assert old.tag.endswith("-3")

    (tmp_path / "other").write_bytes(whole[::-1])
    faults.first(99, "drop", "PUT", "partNumber=3")
    with open(tmp_path / "other", "rb") as stream, pytest.raises(OSError, match=r"."):
        there.replace(out, stream, old)
    assert there.stamp(out) == old and not list(bucket.multipart_uploads.all())

    bucket.put_object(Key="out/large.bin", Body=b"somebody's own")
    faults.first(0, "", "", "")
    with open(tmp_path / "other", "rb") as stream, pytest.raises(FileExistsError):
        there.replace(out, stream, old)
    assert body(bucket, "out/large.bin") == b"somebody's own" and not list(bucket.multipart_uploads.all())


def test_a_key_that_looks_like_a_version_of_another_is_itself(bucket, faults):
    key = "in/a.jpg?versionId=b.jpg"
    bucket.put_object(Key="in/a.jpg", Body=b"the other one")
    bucket.put_object(Key=key, Body=b"itself")
    (_, url) = discover([IN])
    there = store.store_of(url)
    assert url == f"s3://photos/{key}"
    assert there.read(url, 99) == b"itself" and there.stamp(url) == url.stamp and there.read_end(url, 6, 4) == b"self"
    with reading.whole_list(url) as stream:
        assert stream.read() == b"itself"


def test_a_run_that_is_killed_leaves_the_old_output_and_goes_on(
    facetag, photos, bucket, faults, model_folder, tmp_path
):
    bucket.put_object(Key="out/tags.csv", Body=b"schema_version,path,status,error\r\n")
    hung = []

    def hang(method, path):
        if method == "PUT" and "tags.csv" in path:
            hung.append(path)
            time.sleep(5)
            return "drop"
        return None

    faults.choose = hang
    words = ["predict", IN, *OUT, "--model", str(model_folder)]
    run = subprocess.Popen([sys.executable, "-m", "facetag", *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not hung and run.poll() is None:
        time.sleep(0.1)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert body(bucket, "out/tags.csv") == b"schema_version,path,status,error\r\n"
    faults.first(0, "", "", "")
    faults.seen.clear()
    code, err = facetag("predict", IN, *OUT)
    assert code == 0 and not gets(faults, ".jpg"), err
    assert len({line.split(b",")[1] for line in body(bucket, "out/tags.csv").splitlines()[1:]}) == 4


PARTS = ("--out", "s3://photos/out/tags.parquet/", "--journal", "parts.journal")


def test_a_folder_of_parts_is_sent_part_by_part_and_what_would_not_change_is_not_sent(
    facetag, photos, bucket, faults, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "ROWS", 1)
    assert facetag("predict", "in", "--out", "here.parquet/")[0] == 0
    faults.first(2, "slow down", "PUT", "part-00002")
    code, err = facetag("predict", "in", *PARTS)
    assert code == 0, err
    there = {each.key.rpartition("/")[2]: each.get()["Body"].read() for each in bucket.objects.filter(Prefix="out/")}
    assert there == {path.name: path.read_bytes() for path in (tmp_path / "here.parquet").iterdir()}
    assert len(there) == 5
    faults.seen.clear()
    assert facetag("predict", "in", *PARTS)[0] == 0
    assert not [path for method, path in faults.seen if method in ("PUT", "POST", "DELETE")]

    (tmp_path / "in/000003.jpg").unlink()
    assert facetag("predict", "in", *PARTS)[0] == 0
    changed = [(method, path.rpartition("/")[2].partition("?")[0]) for method, path in faults.seen]
    assert [each for each in changed if each[0] in ("PUT", "DELETE")] == [
        ("DELETE", "_SUCCESS"), ("DELETE", "part-00003.parquet"), ("PUT", "_SUCCESS")
    ]  # fmt: skip


def test_a_run_that_ends_among_its_parts_goes_on_without_overwrite(facetag, photos, bucket, faults, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 1)
    faults.first(99, "drop", "PUT", "part-00002")
    assert facetag("predict", "in", *PARTS)[0] == 1
    assert {each.key.rpartition("/")[2] for each in bucket.objects.filter(Prefix="out/")} == {
        "part-00000.parquet", "part-00001.parquet"
    }  # fmt: skip
    faults.first(0, "", "", "")
    code, err = facetag("predict", "in", *PARTS)
    assert code == 0 and "0 new, 0 changed, 4 reused" in err
    assert len(list(bucket.objects.filter(Prefix="out/"))) == 5


def test_a_list_in_a_bucket_is_copied_a_block_at_a_time(bucket, faults, monkeypatch):
    monkeypatch.setattr(s3, "PART", 5 << 20)
    lines = b"".join(b"%09d.jpg\n" % number for number in range(900_000))
    bucket.put_object(Key="list", Body=lines)
    with reading.whole_list(as_url("s3://photos/list")) as stream:
        assert stream.read() == lines
    assert gets(faults, "/list") == 3


def test_without_credentials_it_is_said_in_one_line(facetag, photos, faults, monkeypatch):
    for name in KEYS:
        if name != "AWS_DEFAULT_REGION":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    store.end_connections()
    code, err = facetag("predict", IN, "--out", "s3.csv")
    assert code == 1 and f"{IN} cannot be listed: Unable to locate credentials" in err
