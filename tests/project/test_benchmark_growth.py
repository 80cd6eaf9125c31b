"""The benchmarks of the engine's cost as work grows, of smaller decoding and of CPU engines, on little."""

import io
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import engines
import gpu
import growth
import numpy as np
import PIL.Image
import pytest
import reduced
import torch
from torch import nn

from facetag.attributes import ATTRIBUTES
from facetag.datasets.webfaces import AnnotatedImage
from facetag.geometry import Box
from facetag.model import save_model
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import FaceResult, ImageResult, Status
from models import CARD, center_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def opened(data: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(data))


def test_crowds_are_as_large_as_asked_and_no_two_alike() -> None:
    files = list(growth.crowds(3, 320, 240, 10, 0.9))
    assert len(set(files)) == 3 and all(opened(data).size == (320, 240) for data in files)
    assert len(list(growth.crowds(2, 64, 48, 0, 0.9))) == 2
    assert len({*growth.squares(4)}) == 4


def test_a_row_is_what_the_run_says_of_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(center_model(), tmp_path / "model", CARD)
    row = growth.grown(growth.squares(3), str(tmp_path / "model"))
    assert row.images > 0 and row.memory > 50 and (row.descriptors > 3) == os.path.exists("/proc/self/fd")
    assert {"decode", "center_net"} <= set(row.stages)
    growth.show("three", row)
    assert capsys.readouterr().out.startswith("three ")


def test_photographs_are_the_first_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "c.txt"):
        (tmp_path / name).write_bytes(name.encode())
    assert list(growth.photographs(str(tmp_path), 1)) == [b"a.jpg"]
    with pytest.raises(SystemExit, match=r"has 2 images"):
        growth.photographs(str(tmp_path), 3)


def test_answers_are_compared_face_by_face() -> None:
    def face(x: float, smiling: float) -> FaceResult:
        probabilities = dict.fromkeys(ATTRIBUTES, 0.0) | {"Smiling": smiling}
        return FaceResult(Box(x, 0, 10, 10), 0.9, probabilities, ("Smiling",) if smiling >= 0.5 else ())

    photographs = [AnnotatedImage(Path(name), [Box(0, 0, 10, 10)], "tune") for name in "ab"]
    whole = [ImageResult(name, Status.OK, faces=(face(0, 0.6),)) for name in "ab"]
    other = [ImageResult("a", Status.OK, faces=(face(0, 0.4),)), ImageResult("b", Status.NO_FACE)]
    clock = Stopwatch()
    with clock.stage(Stage.DECODE):
        pass
    row = reduced.compare(photographs, whole, other, clock)
    assert (row.recall, row.again, row.overlap) == (50, 50, 1)
    assert row.decisions == pytest.approx(100 / 40) and row.probability == pytest.approx(0.2 / 40)
    same = reduced.compare(photographs, whole, whole, clock)
    assert (same.recall, same.again, same.decisions, same.probability) == (100, 100, 0, 0)


def test_an_engine_that_cannot_is_said_in_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(work: engines.Work) -> engines.Answer:
        raise ImportError("No module named 'absent'")

    def wrong(work: engines.Work) -> engines.Answer:
        return lambda: 2 * np.asarray(work.net(work.inputs))

    monkeypatch.setattr(engines, "ENGINES", {"torch": engines.by_torch, "absent": absent, "wrong": wrong})
    with torch.inference_mode():
        engines.report(engines.Work("net", nn.Conv2d(3, 4, 3), torch.rand(1, 3, 10, 10)), 2, 1e9)
    said = capsys.readouterr().out
    assert "net: 0 million multiply-adds" in said
    assert "absent           not measured: ImportError" in said
    assert "wrong            not measured: its answer differs by 1.0e+00" in said
    assert said.count("% of the limit") == 1


@pytest.mark.process
def test_how_busy_a_gpu_is_counts_while_the_run_lasts(tmp_path: Path) -> None:
    speaker = "import time; print(10, flush=True); time.sleep(0.2); print(90, flush=True); time.sleep(60)"
    with gpu.watching((sys.executable, "-c", speaker)) as watch:
        deadline = time.monotonic() + 30
        while len(watch.said) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    (first, _), (second, _) = watch.said
    assert watch.between(first, second) == 50 and watch.between(second, second) == 90
    assert watch.between(second + timedelta(seconds=1), second + timedelta(seconds=2)) is None
    with gpu.watching(("no-such-command",)) as watch:
        assert not watch.said


def test_the_gpu_benchmark_works_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(center_model(), tmp_path / "model", CARD)
    words = [
        "gpu.py",
        "--device",
        "cpu",
        "--count",
        "3",
        "--precisions",
        "float32",
        "--models",
        str(tmp_path / "model"),
    ]
    monkeypatch.setattr(sys, "argv", words)
    gpu.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cpu, 3 files; ") and " float32" in lines[2] and lines[2].split()[3] == "-"
