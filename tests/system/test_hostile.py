"""Real runs over a thousand hostile files (tests/hostile.py): a row for each input, and nothing stops a run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import pytest
from hostile import OK, UNREADABLE, make
from readback import read_jsonl

from facetag.errors import ExitCode
from facetag.formats.path_encoding import escape

pytestmark = pytest.mark.process

LAST = b"zz-removed.jpg"
SECRETS = (b"secret.jpg", b"secrets")
#: What the user names after the folder; each gets its row whatever it is.
NAMED = {"photos/fifo.jpg": UNREADABLE, "photos/list.txt": UNREADABLE, "missing.jpg": UNREADABLE, "": UNREADABLE}


def ordinary_user():
    """Words before a command that take root's right to read everything; None when that cannot be done here."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    rights = "-dac_override,-dac_read_search"
    words = [str(setpriv), f"--bounding-set={rights}", f"--inh-caps={rights}"]
    works = setpriv and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if works else None


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The folder; what may not be read lies in it only where the runs can be those of an ordinary user."""
    made = make(tmp_path_factory.mktemp("hostile") / "photos")
    content = (made.folder / "misnamed" / "jpeg.jpg").read_bytes()
    made.add(LAST, OK).write_bytes(content)
    if ordinary_user() is not None:
        file, folder = (made.add(name, UNREADABLE) for name in SECRETS)
        folder.mkdir()
        for path in (file, folder / "a.jpg"):
            path.write_bytes(content)
        for path in (file, folder):
            path.chmod(0)
    yield made
    for name in SECRETS:
        if (made.folder / os.fsdecode(name)).exists():
            (made.folder / os.fsdecode(name)).chmod(0o700)


def digests(photos):
    """Of every whole input but the one that a run removes."""
    files = (photos.folder / name for name in photos.inputs if name not in map(os.fsdecode, (LAST, *SECRETS)))
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}


@pytest.fixture(scope="module")
def originals(photos):
    return digests(photos)


@pytest.fixture(scope="module")
def expected(photos):
    """Path as the rows say it -> status, in order."""
    return {**{f"photos/{name}": status for name, status in photos.inputs.items()}, **NAMED}


@pytest.fixture(scope="module")
def facetag(photos, model_folder):
    """Starts a run in the folder above `photos`; a context manager that gives the process."""

    @contextmanager
    def start(*words):
        program = [*(ordinary_user() or []), sys.executable, "-m", "facetag", "predict", "photos", *NAMED]
        with subprocess.Popen(
            [*program, *map(str, words), "--model", str(model_folder), "--format", "jsonl"],
            cwd=photos.folder.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        ) as process:  # fmt: skip
            yield process

    return start


@pytest.fixture(scope="module")
def documents(photos, originals, facetag):
    """(exit code, document, standard error) by number of workers; the last run is the first one's command again."""

    def to_a_file(workers, name, *words):
        out = photos.folder / name
        with facetag("--workers", workers, "--out", out, *words) as process:
            said = process.communicate()[1]
        assert out.exists(), said
        return process.returncode, out.read_text(encoding="utf-8"), said

    return {
        8: to_a_file(8, "tags.jsonl", "-q", "--batch", 5),
        2: to_a_file(2, "others.jsonl", "-v", "--batch", 64),
        3: to_a_file(3, "tags.jsonl", "-q", "--batch", 16),
    }


@pytest.fixture(scope="module")
def piped(photos, facetag, documents):
    """The same to standard output with one worker, links followed; the last file goes once the first row is there.

    Nobody has read that file by then: far more rows than a pipe holds are still to come.
    """
    with facetag("-q", "--batch", 1, "--workers", 1, "--follow-links") as process:
        first = process.stdout.readline()
        (photos.folder / os.fsdecode(LAST)).unlink()
        rest, said = process.stdout.read(), process.stderr.read()  # communicate would leave what was read ahead
    return process.returncode, first + rest, said


def test_there_are_a_thousand(photos):
    assert len(photos.inputs) > 1000
    assert len(set(photos.inputs.values())) == 6 - 1  # `failed` is none that a file can bring about


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_rows_out_are_inputs_in_and_say_what_became_of_each(documents, expected, workers):
    code, document, _ = documents[workers]
    records = read_jsonl(document)
    assert [record.path for record in records] == list(expected)
    assert {r.path: r.status for r in records if r.status != expected[r.path]} == {}
    assert code == ExitCode.SOME_FAILED
    assert all(record.error for record in records if record.status.is_failure)
    assert all(record.width and record.height for record in records if not record.status.is_failure)


def test_the_same_bytes_whatever_the_workers_the_batch_and_the_output(documents, piped):
    assert documents[2][1] == documents[3][1] == documents[8][1]
    removed = f"photos/{os.fsdecode(LAST)}"
    told, gone = documents[2][1].splitlines(), piped[1].splitlines()
    differing = [(a, b) for a, b in zip(told, gone, strict=True) if a != b]
    assert [(a.path, b.path, b.status) for a, b in (read_jsonl("\n".join(pair)) for pair in differing)] == [
        (removed, removed, UNREADABLE)
    ]
    assert piped[0] == ExitCode.SOME_FAILED and errors_alone(piped[2])


def test_all_orientations_show_the_same_picture(documents):
    turned = [r for r in read_jsonl(documents[2][1]) if r.path.startswith("photos/turned/")]
    lossless = [r for r in turned if not r.path.endswith(("JPEG", "AVIF"))]
    assert {(r.width, r.height) for r in turned} == {(64, 48)}
    assert len(lossless) == 24 and lossless[0].faces
    assert all(record.faces == lossless[0].faces for record in lossless)


def test_what_is_said_is_one_line_each_and_counts_everything(documents, photos, expected):
    code, _, said = documents[2]
    lines = said.splitlines()
    assert code == ExitCode.SOME_FAILED and all(line.startswith("facetag: ") for line in lines)
    summary = next(line for line in lines if f" {len(expected)} inputs: " in line)
    counts = Counter(expected.values())
    assert all(f"{count} {status}" in summary for status, count in counts.items())
    passed = next(line for line in lines if "passed over: " in line)
    assert "2 special, 2 link" in passed
    failed = [path for path, status in expected.items() if status.is_failure]
    named = {path: f"facetag: {escape(path)}: " if path else "facetag: '': " for path in failed}
    assert [path for path, start in named.items() if not any(line.startswith(start) for line in lines)] == []
    assert errors_alone(documents[8][2])


def errors_alone(said):
    """Of a quiet run: named inputs that do not exist, and that the budget of failures is spent."""
    return all(line.startswith("facetag: error: ") for line in said.splitlines())


def test_outputs_and_what_lies_beside_them_are_left_alone(documents, photos):
    """An earlier run's and its own, while it runs: counted, and no inputs."""
    next_to = ("", ".run.json", ".facetag.sqlite")
    assert all((photos.folder / f"{name}.jsonl{ending}").is_file() for name in ("tags", "others") for ending in next_to)
    (count,) = re.findall(r"passed over: (\d+) other", documents[2][2])
    assert int(count) > photos.next_to + len(next_to)
    assert not [path for path in photos.folder.iterdir() if path.name.endswith((".tmp", "-wal"))]


def test_the_same_command_again_keeps_every_answer(documents, photos, expected):
    """Of all that could be read; the others may be there now."""
    kept = json.loads((photos.folder / "tags.jsonl.run.json").read_text())["kept"]
    absent = ("dangling.jpg", "itself.jpg", "fifo.jpg", "missing.jpg", "photos/", *map(os.fsdecode, SECRETS))
    assert kept == len([path for path in expected if path and not path.endswith(absent)])


def test_what_may_not_be_read_has_its_row(documents):
    if ordinary_user() is None:
        pytest.skip("this is root, who may read everything, and `setpriv` cannot take that right away here")
    errors = {record.path: record.error for record in read_jsonl(documents[2][1])}
    assert {errors[f"photos/{os.fsdecode(name)}"] for name in SECRETS} == {"Permission denied"}


def test_originals_are_as_they_were(photos, originals, documents, piped):
    assert digests(photos) == originals
