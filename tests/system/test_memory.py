"""Memory stays flat however many inputs there are, and answers come while a list is still written: real runs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest
from photographs import make_photographs

from facetag.errors import ExitCode
from facetag.model import save_model
from models import CARD, tiny_model

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is asked of /proc"),
]

MOST_GROWTH = 50_000  #: kB after the warm-up


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(tiny_model(), folder, CARD)
    return folder


@contextmanager
def running(words, folder, model, code=ExitCode.OK, says=b""):
    """A run that writes JSON Lines; what it says goes to a file in the folder, which is to hold `says` at its end."""
    command = [sys.executable, "-m", "facetag", *words, "--model", str(model), "--format", "jsonl", "-q"]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}  # two look side by side
    pipe = subprocess.PIPE
    with (
        open(folder / "errors", "wb") as errors,
        subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=errors) as process,
    ):
        try:
            yield process
            assert process.wait(timeout=30) == code
            said = (folder / "errors").read_bytes()
            assert says in said and bool(says) == bool(said)
        finally:
            process.kill()


def resident(process, name="VmRSS"):
    """kB of memory that a process holds, or held at most (VmHWM)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def lines_and_growth(process, warm):
    """The lines that come, and the kB by which the most ever held at the end exceeds the most after `warm` lines."""
    lines = base = last = 0
    for line in process.stdout:
        lines += 1
        json.loads(line)
        if lines == warm:
            base = resident(process, "VmHWM")
        if lines % 500 == 0 and process.poll() is None:
            last = resident(process, "VmHWM")
    return lines, last - base


def write_all(stream, lines):
    """Names in small portions, as another program would write them; they wait when the pipe is full."""

    def work():
        for start in range(0, len(lines), 1000):
            stream.write(b"".join(lines[start : start + 1000]))
            stream.flush()
        stream.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_hundred_thousand_names_on_standard_input(tmp_path, tiny_folder):
    """Links to few pictures; their boxes are known, so that what a name costs beside the nets is what is measured."""
    make_photographs(tmp_path / "few", 10, (32, 24))
    (tmp_path / "many").mkdir()
    names = [f"many/{number:06}.jpg" for number in range(100_000)]
    pictures = sorted((tmp_path / "few").iterdir())
    for name, picture in zip(names, cycle(pictures), strict=False):
        os.link(picture, tmp_path / name)
    (tmp_path / "boxes.csv").write_text(f"file,x,y,width,height\n{names[0]},1,1,9,9\n")
    with running(["predict", "--files-from", "-", "--boxes", "boxes.csv"], tmp_path, tiny_folder) as process:
        writer = write_all(process.stdin, [name.encode() + b"\n" for name in names])
        assert json.loads(process.stdout.readline())["path"] == names[0]
        assert writer.is_alive()  # the list had not ended when the first record came
        lines, growth = lines_and_growth(process, warm=10_000)
        writer.join()
    assert lines == len(names) - 1
    assert growth < MOST_GROWTH


def test_two_thousand_pictures(tmp_path, tiny_folder):
    make_photographs(tmp_path / "photos", 2000)
    with running(["predict", "photos"], tmp_path, tiny_folder) as process:
        lines, growth = lines_and_growth(process, warm=500)
    assert lines == 2000
    assert growth < MOST_GROWTH


def test_a_reader_that_leaves_ends_the_run_in_silence(tmp_path, tiny_folder):
    """`facetag ... | head -1`, while the list is open and nobody writes to it any more."""
    photos = make_photographs(tmp_path / "photos", 60)
    with running(["localize", "--files-from", "-", "--batch", "4"], tmp_path, tiny_folder) as process:
        process.stdin.write(b"".join(b"photos/" + os.fsencode(path.name) + b"\n" for path in sorted(photos.iterdir())))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["path"] == "photos/000000.jpg"
        process.stdout.close()
        process.wait(timeout=30)


def test_a_name_is_answered_though_the_list_goes_on(tmp_path, tiny_folder):
    """As `inotifywait | facetag --files-from -`: one name, one answer, then the next name."""
    photos = make_photographs(tmp_path / "photos", 3)
    with running(["localize", "--files-from", "-"], tmp_path, tiny_folder) as process:
        for path in sorted(photos.iterdir()):
            process.stdin.write(b"photos/" + os.fsencode(path.name) + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["path"] == f"photos/{path.name}"
        process.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("out", ["-", "faces.csv"])
def test_a_run_that_waits_for_a_list_can_be_stopped(tmp_path, tiny_folder, number, out):
    make_photographs(tmp_path / "photos", 1)
    words = ["localize", "--files-from", "-", "--out", out, "--draw", "drawn"]
    with running(words, tmp_path, tiny_folder, 128 + number, b"stopped after 1 input") as process:
        process.stdin.write(b"photos/000000.jpg\n")
        process.stdin.flush()
        while not list(tmp_path.glob("drawn/*.jpg")):
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(timeout=30)
