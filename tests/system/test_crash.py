"""Real processes that are killed, and real disks that are full: the same command then gives the same bytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from photographs import make_photographs

from facetag.errors import ExitCode, FacetagError
from facetag.geometry import Box
from facetag.images.discover import discover
from facetag.localization.base import Detection
from facetag.pipeline.engine import Engine
from facetag.pipeline.face_sources import Found
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.stages import Cascade
from facetag.runs.cache_key import CacheKey
from facetag.runs.run import Document, run

LEFT = ["tags.csv", "tags.csv.facetag.sqlite"]


@pytest.fixture
def played(model_folder, tmp_path):
    """Plays a scene of dying.py; answers what it says."""

    def play(scene):
        photos = make_photographs(tmp_path / "photos", 6)
        folder = tmp_path / "scene"
        folder.mkdir()
        program = Path(__file__).parents[1] / "support" / "dying.py"
        words = [sys.executable, str(program), scene, str(model_folder), str(photos), str(folder)]
        path = os.pathsep.join(filter(None, sys.path))
        ended = subprocess.run(
            words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]

    return play


@pytest.mark.process
def test_killed_at_every_commit_and_rename_point_the_same_command_gives_the_same_bytes(played):
    deaths = played("points")
    commits = ["commit", "committed"]
    ending = ["written", "synced", "renamed", *commits]
    points = {kind: [death["point"] for death in deaths if death["kind"] == kind] for kind in ("first", "update")}
    assert points["first"] == ["create", "created", *4 * commits, *ending]
    assert points["update"][:2] == commits and points["update"][-5:] == ending
    for death in deaths:
        assert death["died"] == -signal.SIGKILL, death
        assert death["whole"] and death["again"] == 0 and death["equal"], death
        assert death["left"] == LEFT, death
    # the hooks do bite: before the rename the older output stands, after it the new one
    assert {death["new"] for death in deaths if death["point"] == "synced"} == {False}
    assert {death["new"] for death in deaths if death["point"] == "renamed"} == {True}


@pytest.mark.process
def test_killed_at_random_the_same_command_gives_the_same_bytes(played):
    deaths = played("random")
    assert len(deaths) == 10
    for death in deaths:
        assert death["again"] == 0 and death["equal"], death
        assert death["left"] == LEFT, death
    assert Counter(death["died"] for death in deaths)[-signal.SIGKILL] >= 4


@pytest.mark.process
def test_two_runs_at_one_output(played):
    (fact,) = played("two")
    assert fact["refused"] == ExitCode.LOCKED and fact["took"] < 10
    assert fact["waits"] and fact["died"] == -signal.SIGKILL
    assert fact["waited"] == 0 and fact["written"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB, and a way to make it larger."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mount(*words):
        return subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)

    if shutil.which("mount") is None or (tried := mount("-t", "tmpfs", "-o", "size=256k", "tmpfs")).returncode:
        pytest.skip(f"A FULL DISK IS NOT TESTED: no tmpfs can be mounted here ({tried.stderr.strip()})")
    try:
        yield folder, lambda: mount("-o", "remount,size=32m")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_one_line_and_nothing_is_lost(small_disk, tmp_path):
    folder, enlarge = small_disk
    photos = make_photographs(tmp_path / "photos", 60)
    asked = []

    def many_faces(batch, clock):
        asked.extend(photo.path for photo in batch)
        return [Found(tuple(Detection(Box(x, 2, 3, 4), 0.5) for x in range(200))) for _ in batch]

    def go(out, inputs):
        document, reading = Document(str(out), "csv", None), ReadSettings(batch=4)
        run(
            discover(map(str, inputs)),
            Engine.of(Cascade(many_faces), reading),
            document,
            CacheKey("localize", "a model"),
        )
        return out.read_bytes()

    out = folder / "faces.csv"
    few = [photos / "000000.jpg"]
    older = go(out, few)
    for _ in range(2):  # a second run in vain loses nothing either
        with pytest.raises(FacetagError, match=r"^cannot write .*: No space left on device; [^\n]+$"):
            go(out, [photos])
        assert out.read_bytes() == older
    assert enlarge().returncode == 0
    done = len(asked)
    assert 4 < done < 60
    full = go(out, [photos])
    assert len(asked) - done < 60 - 4
    assert full == go(tmp_path / "fresh.csv", [photos])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_stream_to_a_full_device_is_one_line(tmp_path):
    photos = make_photographs(tmp_path / "photos", 2)
    document = Document("/dev/full", "csv", None)
    cascade = Cascade(lambda batch, clock: [Found(())] * len(batch))
    with pytest.raises(FacetagError, match=r"^cannot write /dev/full: No space left on device; "):
        run(discover([str(photos)]), Engine.of(cascade, ReadSettings()), document, CacheKey("localize", "a model"))
