"""`predict --watch`: what came is answered after a quiet moment, and the first signal is a good end."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from readback import read_csv

from facetag import cli
from facetag.cli import watching
from facetag.cli.options import Options
from facetag.errors import ExitCode, UsageError


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def names(out: Path) -> set[str]:
    return {Path(record.path).name for record in read_csv(out.read_text())} if out.exists() else set()


@pytest.fixture
def watched(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ExitCode]:
    """Runs `predict in --watch` while steps are taken in another thread; then a signal ends it."""
    monkeypatch.setattr(watching, "QUIET", 0.3)
    monkeypatch.chdir(tmp_path)

    def run(steps: Callable[[], None], *words: str) -> ExitCode:
        failed: list[BaseException] = []

        def take() -> None:
            try:
                steps()
            except BaseException as error:  # noqa: BLE001 - it is for the test's own thread
                failed.append(error)
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

        ended, other = threading.Event(), threading.Thread(target=take)
        other.start()
        code = cli.run(["predict", "in", "--watch", "--model", str(model_folder), "-q", *words])
        ended.set()
        other.join()
        if failed:
            raise failed[0]
        return ExitCode(code)

    return run


def test_what_comes_is_answered_after_a_quiet_moment_and_what_goes_leaves(
    watched: Callable[..., ExitCode], tmp_path: Path
) -> None:
    out = tmp_path / "in" / "tags.csv"  # what the run itself writes there starts no run
    photo(tmp_path / "in" / "a.png", 1)
    photo(tmp_path / "in" / "b.png", 2)
    written: list[float] = []

    def steps() -> None:
        wait_until(lambda: names(out) == {"a.png", "b.png"})
        first = out.stat().st_mtime_ns
        time.sleep(1.5)
        assert out.stat().st_mtime_ns == first
        photo(tmp_path / "in" / "new" / "c.png", 3)
        wait_until(lambda: names(out) == {"a.png", "b.png", "c.png"})
        (tmp_path / "in" / "a.png").unlink()
        wait_until(lambda: names(out) == {"b.png", "c.png"})
        written.append(1)

    assert watched(steps, "--out", str(out)) == ExitCode.OK
    assert written


def test_a_broken_file_is_a_row_and_does_not_end_it(watched: Callable[..., ExitCode], tmp_path: Path) -> None:
    out = tmp_path / "tags.csv"
    photo(tmp_path / "in" / "a.png", 1)

    def steps() -> None:
        wait_until(lambda: names(out) == {"a.png"})
        (tmp_path / "in" / "broken.jpg").write_bytes(b"no image")
        wait_until(lambda: names(out) == {"a.png", "broken.jpg"})
        photo(tmp_path / "in" / "b.png", 2)
        wait_until(lambda: "b.png" in names(out))

    assert watched(steps, "--out", "tags.csv") == ExitCode.OK


@pytest.mark.skipif(sys.platform != "linux", reason="names of bytes")
def test_a_name_that_is_no_text_is_seen_too(watched: Callable[..., ExitCode], tmp_path: Path) -> None:
    out, strange = tmp_path / "tags.csv", os.fsdecode(b"b \xff.png")
    photo(tmp_path / "in" / "a.png", 1)

    def steps() -> None:
        wait_until(lambda: names(out) == {"a.png"})
        photo(tmp_path / "in" / strange, 2)
        wait_until(lambda: len(names(out)) == 2)
        photo(tmp_path / "in" / "c.png", 3)
        wait_until(lambda: len(names(out)) == 3)

    assert watched(steps, "--out", "tags.csv") == ExitCode.OK


def test_overwriting_is_for_the_first_run_alone(watched: Callable[..., ExitCode], tmp_path: Path) -> None:
    out = tmp_path / "tags.csv"
    photo(tmp_path / "in" / "a.png", 1)

    def steps() -> None:
        wait_until(lambda: "a.png" in names(out))
        photo(tmp_path / "in" / "b.png", 2)
        wait_until(lambda: names(out) == {"a.png", "b.png"})

    assert watched(steps, "--out", "tags.csv", "--overwrite") == ExitCode.OK
    assert '"new": 1' in (tmp_path / "tags.csv.run.json").read_text()  # b.png: a.png was known to the second run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"paths": None, "files_from": "list"}, "--watch looks at folders"),
        ({"out": "-"}, "add --out FILE"),
        ({"dry_run": True}, "goes with none of"),
        ({"boxes": Path("boxes.csv")}, "goes with none of"),
        ({"append": True}, "goes with none of"),
        ({"paths": ["nowhere"]}, "nowhere is not there"),
    ],
)
def test_what_cannot_be_watched_is_refused(tmp_path: Path, words: dict[str, object], message: str) -> None:
    given = {"paths": [str(tmp_path)], "out": str(tmp_path / "tags.csv"), "watch": True, **words}
    with pytest.raises(UsageError, match=message):
        watching.refuse_unwatchable(Options(**given))  # type: ignore[arg-type]


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(UsageError, match="--watch needs watchfiles"):
        next(watching.quiet_moments([str(tmp_path)], lambda path: False, None))  # type: ignore[arg-type]


def test_what_the_run_writes_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    own = watching.is_own(Options(out=str(tmp_path / "tags.csv"), draw=tmp_path / "drawn", crop_dir=tmp_path / "faces"))
    for name in (
        "tags.csv",
        "tags.csv.facetag.sqlite-wal",
        ".facetag.1f.tmp",
        "#3260447",
        "drawn/a.jpg",
        "faces/a.jpg",
        "a.jpg.xmp",
    ):
        assert own(str(tmp_path / name)), name
        assert own(str(tmp_path / "link" / name)), name
    for name in ("a.jpg", "tag.csv", "sub/tags.csv", "sub/#3260447", "#1.jpg", "drawn.jpg"):
        assert not own(str(tmp_path / name)), name
    apart = watching.is_own(Options(out="/elsewhere/tags.csv", journal=str(tmp_path / "apart")))
    assert all(
        apart(str(tmp_path / name)) for name in ("apart", "apart-wal", "apart.lock", "apart.run.json", "#3260447")
    )
    assert apart("/elsewhere/tags.csv") and not apart(str(tmp_path / "a.jpg"))
