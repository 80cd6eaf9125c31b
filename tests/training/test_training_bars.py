"""Training on a terminal shows bars; elsewhere lines."""

import json
import sys

import pytest

from facetag.cli import console

ROW = {"stage": "lnet_o", "seconds": 1.0, "epoch": 0, "step": 20, "of": 80, "loss": 0.5, "images_per_second": 90.0}
VALIDATION = {"stage": "lnet_o", "seconds": 2.0, "epoch": 0, "step": 80, "validation": {"any": 0.9}, "best": 0.9}


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    report = console.metrics_reporter(quiet=False)
    report(VALIDATION)
    report(ROW)  # too soon after the last line
    assert capsys.readouterr() == ("", f"facetag: {console.row_text(VALIDATION)}\n")
    assert f"validation={json.dumps({'any': 0.9})}" in console.row_text(VALIDATION)


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.metrics_reporter(quiet=True)(VALIDATION)
    assert capsys.readouterr() == ("", "")


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    report = console.metrics_reporter(quiet=False)
    assert isinstance(report, console.TrainingBars)
    report({"stage": "heads of train", "done": 64, "of": 128})
    report(ROW)
    report(VALIDATION)
    report._progress.stop()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "64/128" in shown.err and "lnet_o loss 0.5000 90/s" in shown.err and "20/80" in shown.err
    assert 'validation={"any": 0.9}' in shown.err


def test_a_signals_line_amid_another_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Entered:
        def write(self, text: str) -> None:
            raise RuntimeError("reentrant call")

        def flush(self) -> None: ...

        def fileno(self) -> int:
            return 2

    monkeypatch.setattr(sys, "stderr", Entered())
    console.say("finishing")
    assert capfd.readouterr().err == "facetag: finishing\n"
