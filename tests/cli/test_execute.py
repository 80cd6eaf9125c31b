"""What a run says of itself: its exit code by the failure budget, its record, its lines."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from facetag import __version__, cli
from facetag.errors import ExitCode
from facetag.results import Status
from facetag.runs.run_report import LIBRARIES


@pytest.fixture
def localize(model_folder, tmp_path, monkeypatch, capfdbinary):
    """Runs in tmp_path; answers (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()

    def run(*words):
        code = cli.run(["localize", "--model", str(model_folder), *words])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def save_good(folder, *names):
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name, format="PNG")


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [("never", 0), ("any", 3), ("all", 0), ("0.5", 0), ("70%", 0), ("0.4", 3)],
)
def test_the_budget_says_whether_a_whole_run_has_failed(localize, tmp_path, fail_on, code):
    save_good(tmp_path, "a.png")
    (tmp_path / "b.png").touch()
    assert localize("a.png", "b.png", "--fail-on", fail_on, "--out", "faces.csv")[0] == code
    assert (tmp_path / "faces.csv").exists()


def test_all_have_failed(localize):
    assert localize("none.png", "--fail-on", "all")[0] == ExitCode.SOME_FAILED


def test_a_rate_ends_a_run_early_and_the_same_command_goes_on(localize, tmp_path):
    for number in range(300):
        (tmp_path / f"in/{number:03}.jpg").touch()
    words = ["in", "--out", "faces.csv", "--batch", "8"]
    code, _, err = localize(*words, "--fail-on", "10%")
    assert code == ExitCode.FATAL and not (tmp_path / "faces.csv").exists()
    found = re.search(r"error: (\d+) of (\d+) inputs failed, more than --fail-on 10% allows; see why with -v", err)
    assert found and found[1] == found[2] and 100 <= int(found[1]) < 300
    code, _, err = localize(*words, "--fail-on", "never")
    assert code == ExitCode.OK and json.loads((tmp_path / "faces.csv.run.json").read_text())["kept"] == int(found[1])


def test_a_budget_of_nothing_ends_with_the_first_failure(localize, tmp_path):
    save_good(tmp_path, "a.png", "c.png", "d.png", "e.png")
    code, out, err = localize("a.png", "b.png", "c.png", "d.png", "e.png", "--fail-on", "0", "--batch", "1")
    assert code == ExitCode.FATAL and re.search("1 of [23] inputs failed", err)
    assert "b.png" in out and "e.png" not in out


def test_the_record_lies_beside_the_output_and_says_what_ran(localize, tmp_path, model_folder):
    save_good(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "in/c.png").touch()
    localize("in", "--out", "faces.csv", "--min-face", "10")
    record = json.loads((tmp_path / "faces.csv.run.json").read_text())
    assert record["command"] == "localize" and record["outcome"] == "finished"
    assert record["versions"]["facetag"] == __version__ and set(LIBRARIES) < set(record["versions"])
    assert record["model"]["name"] == "random" and re.fullmatch("[0-9a-f]{64}", record["model"]["digest"])
    assert record["options"]["min_face"] == 10 and record["options"]["model"] == str(model_folder)
    assert record["basis"]["min_face"] == 10 and record["basis"]["model"] == record["model"]["digest"]
    assert record["device"] == "cpu"
    assert list(record["counts"]) == [status.value for status in Status]
    assert record["counts"]["unreadable"] == 1 and record["inputs"] == 3 and record["kept"] == 0
    assert record["faces"] >= 2 and record["stages"]["lnet_o"] > 0
    assert record["images_per_second"] == pytest.approx(3 / record["seconds"], rel=0.1)
    assert record["started"] <= record["ended"]
    assert not list(tmp_path.glob(".facetag*"))


def test_answers_that_were_known_are_no_speed(localize, tmp_path):
    save_good(tmp_path / "in", "a.png")
    first = localize("in", "--out", "faces.csv")
    assert localize("in", "--out", "faces.csv")[0] == first[0] == ExitCode.OK
    record = json.loads((tmp_path / "faces.csv.run.json").read_text())
    assert (record["inputs"], record["kept"], record["images_per_second"]) == (1, 1, 0)
    assert record["stages"]["lnet_o"] == 0


def test_standard_output_has_no_record_beside_it_but_verbose_says_it(localize, tmp_path):
    save_good(tmp_path, "a.png")
    code, _, err = localize("a.png", "-v")
    assert code == ExitCode.OK and not list(tmp_path.glob("*.json"))
    said = r"finished in .* s; discover .*; 0 known already; .*; model random .*; settings .*; facetag "
    assert re.search(said, err)


def test_every_line_is_json_when_asked(localize, tmp_path):
    save_good(tmp_path, "a.png")
    code, _, err = localize("a.png", "b.png", "-v", "--log-format", "json")
    lines = [json.loads(line) for line in err.splitlines()]
    assert code == ExitCode.SOME_FAILED and all({"time", "level", "message"} <= set(line) for line in lines)
    (failure,) = (line for line in lines if line.get("status") == "unreadable")
    assert failure["path"] == "b.png" and failure["level"] == "verbose"
    (summary,) = (line for line in lines if "counts" in line and "outcome" not in line)
    assert summary["inputs"] == 2 and summary["counts"]["ok"] == 1
    (record,) = (line for line in lines if "outcome" in line)
    assert record["model"]["name"] == "random"


def test_cuda_is_never_a_silent_cpu(localize, tmp_path):
    save_good(tmp_path, "a.png")
    code, out, err = localize("a.png", "--device", "cuda:99")
    assert (code, out) == (ExitCode.USAGE, "") and "there is no CUDA device 99; use --device cpu" in err


def test_quiet_is_quiet_and_errors_are_still_said(localize, tmp_path):
    save_good(tmp_path, "a.png")
    assert localize("a.png", "-q")[2] == ""
    assert localize("a.png", "-q", "--out", "no/faces.csv")[2].startswith("facetag: error: cannot write ")


def test_a_line_now_and_then_where_there_is_no_terminal(localize, tmp_path, monkeypatch):
    monkeypatch.setattr("facetag.cli.progress.EVERY", 0.0)
    save_good(tmp_path, "a.png", "b.png")
    err = localize("a.png", "b.png", "--batch", "1")[2]
    assert len(re.findall(r"facetag: \d inputs?: .* images/s", err)) == 3


@pytest.mark.parametrize(
    ("words", "terminal", "term", "bar"),
    [
        ([], True, "xterm", True),
        ([], False, "xterm", False),
        ([], True, "dumb", False),
        (["-q"], True, "xterm", False),
        (["--log-format", "json"], True, "xterm", False),
    ],
)
def test_a_moving_line_is_for_terminals_alone(localize, tmp_path, monkeypatch, words, terminal, term, bar):
    save_good(tmp_path, "a.png")
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    code, out, err = localize("a.png", *words)
    assert code == ExitCode.OK and ("\x1b[" in err) is bar and "\x1b" not in out
