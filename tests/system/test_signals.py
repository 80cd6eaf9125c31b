"""Ctrl-C and SIGTERM, sent to real processes: the first lets the batch end, the second ends the run at once."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from facetag import cli
from facetag.errors import ExitCode
from facetag.runs.lock import locked

pytestmark = pytest.mark.process

ENDS = [
    (signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"),
    (signal.SIGTERM, ExitCode.TERMINATED, "terminated"),
    (signal.SIGHUP, ExitCode.HUNG_UP, "hung up"),
]


@pytest.fixture
def archive(tmp_path):
    """A file that is no image, so that its line says when the first batch is through, and pictures after it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/0.jpg").touch()
    for number in range(1, 33):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number:02}.png")
    return tmp_path


@pytest.fixture(params=["1", "3"], ids=["one looks", "three look"])
def start(archive, model_folder, request):
    """Starts a run and comes back when its first batch is through."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": request.param,
    }
    started = []

    def run(*words, until="0.jpg: unreadable"):
        command = [sys.executable, "-m", "facetag", "localize", "in", "-v", "--model", str(model_folder), *words]
        process = subprocess.Popen(
            command, cwd=archive, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        wait_for(process, until)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_for(process, words):
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


@pytest.mark.parametrize(("number", "code", "word"), ENDS)
def test_the_first_signal_lets_the_batch_end_and_the_same_command_goes_on(
    start, archive, model_folder, monkeypatch, number, code, word
):  # fmt: skip
    (archive / "tags.csv").write_text("schema_version,path,status,of an older run")
    process = start("--out", "tags.csv", "--batch", "4")
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    told, *_, stopped, farewell = err.splitlines()
    assert process.returncode == code, err
    assert told == "facetag: finishing what is in hand; once more ends it at once"
    assert stopped.startswith("facetag: stopped after ") and stopped.endswith(" inputs; the same command goes on")
    assert farewell == f"facetag: {word}"
    assert (archive / "tags.csv").read_text() == "schema_version,path,status,of an older run" and not (
        archive / "tags.csv.run.json"
    ).exists()

    done = int(stopped.split()[3])
    assert 4 < done < 33 and (done - 1) % 4 == 0  # what is no picture does not fill a batch
    monkeypatch.chdir(archive)
    again = ["localize", "in", "--out", "tags.csv", "--batch", "4", "--model", str(model_folder), "-q"]
    assert cli.run(again) == ExitCode.SOME_FAILED
    record = json.loads((archive / "tags.csv.run.json").read_text())
    assert (record["inputs"], record["kept"]) == (33, done)


@pytest.mark.parametrize(("number", "code", "word"), ENDS)
def test_the_second_signal_ends_the_run_at_once(start, archive, number, code, word):
    process = start("--out", "tags.csv", "--batch", "16")
    process.send_signal(number)
    wait_for(process, "once more ends it at once")
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (code, f"facetag: {word}\n")
    assert not (archive / "tags.csv").exists() and not list(archive.glob(".facetag*"))


def test_a_hang_up_is_ignored_where_it_was_before(archive, model_folder):
    """As nohup does."""
    code = "import signal, runpy; signal.signal(signal.SIGHUP, signal.SIG_IGN); runpy.run_module('facetag')"
    words = ["localize", "in", "-v", "--model", str(model_folder), "--out", "tags.csv", "--batch", "4"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=archive, env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(process, "0.jpg: unreadable")
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.SOME_FAILED, err
    assert (archive / "tags.csv").exists()


def test_a_stream_ends_with_whole_records(start):
    process = start("--format", "json", "--batch", "4")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    done = int(err.split("stopped after ")[1].split()[0])
    assert len(json.loads(out)) == done < 33 and "its answers so far are written" in err


def test_who_waits_for_a_lock_is_interrupted_and_no_loser(start, archive):
    with locked(str(archive / "tags.csv.lock"), "tags.csv"):
        waiting = start("--out", "tags.csv", "--lock-wait", "600", until="facetag: model")
        time.sleep(1)  # it may still be on its way to the lock; either way it ends as interrupted
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == ExitCode.INTERRUPTED, err
