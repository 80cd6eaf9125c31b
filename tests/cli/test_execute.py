"""What a run says of itself: its exit code by the failure budget, its record, its lines."""

import json
import os
import re
import time

import numpy as np
import pytest
from PIL import Image

from facetag import __version__, cli
from facetag.cli.progress import Watch
from facetag.cluster.versions import LIBRARIES
from facetag.errors import ExitCode
from facetag.results import Status
from facetag.runs.listing import Listing
from facetag.runs.run_report import refuse_other_files


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


def test_a_rate_ends_a_run_when_no_more_can_help_and_the_same_command_goes_on(localize, tmp_path):
    for number in range(300):
        (tmp_path / f"in/{number:03}.jpg").touch()
    words = ["in", "--out", "faces.csv", "--batch", "8"]
    code, _, err = localize(*words, "--fail-on", "10%", "-q")
    assert code == ExitCode.FATAL and not (tmp_path / "faces.csv").exists()
    found = re.fullmatch(
        r"facetag: error: (\d+) of 300 inputs failed, more than --fail-on 10% allows; see why with -v.*\n", err
    )
    assert found and 30 < int(found[1]) < 300
    code, _, err = localize(*words, "--fail-on", "never")
    assert code == ExitCode.OK
    record = json.loads((tmp_path / "faces.csv.run.json").read_text())
    assert record["kept"] >= int(found[1]) and record["kept"] + record["new"] == 300


def test_failures_that_sort_first_stop_no_run_that_is_under_its_budget(localize, tmp_path):
    """Neither the first time nor when they are known: what earlier runs left counts at the end."""
    for number in range(10):
        (tmp_path / f"in/0{number}.jpg").touch()
    save_good(tmp_path / "in", *(f"a{number:02}.png" for number in range(15)))
    words = ["in", "--out", "faces.csv", "--batch", "1"]
    for _ in range(2):
        assert localize(*words, "--fail-on", "40%")[0] == ExitCode.OK
    code, _, err = localize(*words, "--fail-on", "30%", "-q")
    assert code == ExitCode.SOME_FAILED and (tmp_path / "faces.csv").exists()
    assert err == "facetag: error: 10 of 25 inputs failed, more than --fail-on 30% allows; the column error says why\n"


def test_a_budget_waits_until_all_inputs_are_listed(localize, tmp_path, monkeypatch):
    """Of a list that is still being written nobody knows what will bring the failures under the rate."""
    good = [f"a{number}.png" for number in range(12)]
    save_good(tmp_path, *good)

    def slow(stream, null):
        yield from ("none1.jpg", "none2.jpg")
        time.sleep(1.5)
        yield from good

    monkeypatch.setattr("facetag.images.discover.files_from", slow)
    (tmp_path / "list").touch()
    assert localize("--files-from", "list", "--fail-on", "20%", "--out", "faces.csv")[0] == ExitCode.OK


def test_a_budget_of_nothing_ends_with_the_first_failure(localize, tmp_path):
    save_good(tmp_path, "a.png", "c.png", "d.png", "e.png")
    code, out, err = localize("a.png", "b.png", "c.png", "d.png", "e.png", "--fail-on", "0", "--batch", "1")
    assert code == ExitCode.FATAL and "1 of 5 inputs failed" in err
    assert "b.png" in out and "e.png" not in out


def test_the_record_lies_beside_the_output_and_says_what_ran(localize, tmp_path, model_folder):
    save_good(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "in/c.png").touch()
    localize("in", "--out", "faces.csv", "--min-face", "10")
    record = json.loads((tmp_path / "faces.csv.run.json").read_text())
    assert next(iter(record.items())) == ("format", 1)
    assert record["new"] == 3 and record["changed"] == record["gone"] == 0 and record["passed_over"] == {}
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


def test_the_first_failures_are_named_and_the_others_counted(localize, tmp_path):
    for number in range(8):
        (tmp_path / f"in/{number}.jpg").touch()
    code, _, err = localize("in", "--out", "faces.csv")
    named = [line for line in err.splitlines() if line.startswith("facetag: warning: ")]
    assert code == ExitCode.SOME_FAILED and len(named) == 6
    assert named[0] == "facetag: warning: in/0.jpg: unreadable: the file is empty"
    assert named[-1] == "facetag: warning: 3 more inputs failed; -v names all"
    assert err.count("unreadable: the") == 5
    quiet = localize("in", "--out", "faces.csv", "-q")[2]
    assert quiet == "facetag: error: 8 of 8 inputs failed, more than --fail-on any allows; the column error says why\n"
    assert localize("in", "--out", "faces.csv", "-v")[2].count("unreadable: the file is empty") == 8


def test_a_named_input_that_does_not_exist_is_always_named(localize, tmp_path):
    for number in range(8):
        (tmp_path / f"in/{number}.jpg").touch()
    os.symlink("nowhere", tmp_path / "in/9.jpg")
    names = ["in/none.jpg", "no/folder.jpg"]
    for words in ([], ["-q"], ["--relative-to", "in"]):
        err = localize("in", *names, "--fail-on", "never", *words)[2]
        seen = ["none.jpg", f"{os.getcwd()}/no/folder.jpg"] if "--relative-to" in words else names
        lines = [line for line in err.splitlines() if line.startswith("facetag: error: ")]
        assert lines == [f"facetag: error: {name}: unreadable: No such file or directory" for name in seen]


def test_the_summary_says_what_became_of_each_input(localize, tmp_path):
    save_good(tmp_path / "in", "a.png", "b.png", "c.png")
    (tmp_path / "in/notes.txt").touch()
    err = localize("in", "--out", "faces.csv")[2]
    assert re.search(r": 3 inputs: 3 ok .*; 3 new, 0 changed, 0 reused, 0 gone; 1 passed over; [\d.]+ images/s\n", err)
    save_good(tmp_path / "in", "a.png", "x.png", "y.png", "b.png", "d.png")
    for name in ("c.png", "x.png", "y.png"):
        (tmp_path / f"in/{name}").unlink()
    err = localize("in", "--out", "faces.csv")[2]
    assert "; 1 new, 1 changed, 1 reused, 1 gone; 1 passed over; " in err
    assert (
        "; 0 new, 0 changed, 3 reused, 0 gone; 1 passed over; 0.0 images/s\n" in localize("in", "--out", "faces.csv")[2]
    )
    assert re.search(r": 3 inputs: 3 ok \(\d+ faces\); 1 passed over; [\d.]+ images/s\n", localize("in")[2])


@pytest.mark.parametrize("done", [0, 1, 1_000, 1_000_000, 20_000_000])
def test_progress_has_a_total_a_percentage_and_the_time_left_in_60_columns(done):
    listing = Listing([])
    listing.listed, listing.is_whole = 20_000_000, True
    watch = Watch(False, listing)
    watch._start -= 100_000
    watch._moments[0] = (watch._start, 0)
    watch.counts[Status.OK], watch.counts[Status.FAILED] = done - done // 3, done // 3
    watch._note_the_time()
    shown = watch.progress()
    assert len(shown) + len("⠋ ") <= 60
    found = re.fullmatch(rf"{done}/20000000 (\d+) %, [\d.]+/s, (\d+:\d\d:\d\d|\d+ days) left(, \d+ failed)?", shown)
    assert found and int(found[1]) == done // 200_000


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "nodir/x.csv"],
        ["--files-from", "nolist"],
        ["--attributes", "Smile"],
        ["--threshold", "Smile=0.5"],
        ["--unsure", "Smiling"],
        ["--exclude-attributes", "hairs"],
        ["--device", "gpu"],
        ["--format", "xls"],
        ["--fail-on", "some"],
        ["--shard", "0/2"],
        ["--boxes", "noboxes.csv"],
        ["--model", "fsat"],
    ],
)
def test_what_is_misspelt_fails_before_a_model_is_loaded(tmp_path, monkeypatch, capfd, words):
    monkeypatch.chdir(tmp_path)
    save_good(tmp_path, "a.png")
    monkeypatch.setattr("facetag.model.load_model", lambda name: pytest.fail("a model was loaded"))
    model = [] if "--model" in words else ["--model", "fast"]
    if words[0] == "--model":
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
    assert cli.run(["predict", "a.png", *model, *words]) in (ExitCode.USAGE, ExitCode.FATAL)
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("out", ["a.png/x.csv", "loop.csv", "loop.csv/x.csv", "n" * 300, "n" * 248, "/dev/fd/777"])
def test_a_name_that_no_output_can_have_fails_before_a_model_is_loaded(tmp_path, monkeypatch, capfd, out):
    monkeypatch.chdir(tmp_path)
    save_good(tmp_path, "a.png")
    os.symlink("loop.csv", "loop.csv")
    monkeypatch.setattr("facetag.model.load_model", lambda name: pytest.fail("a model was loaded"))
    assert cli.run(["predict", "a.png", "--format", "csv", "--out", out]) == ExitCode.FATAL
    said = capfd.readouterr().err
    assert said.startswith(f"facetag: error: cannot write {out}: ") and said.count("\n") == 1


def test_a_file_of_others_is_refused_before_a_model_is_loaded(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    save_good(tmp_path, "a.png")
    (tmp_path / "mine.csv").write_text("name,price\n")
    monkeypatch.setattr("facetag.model.load_model", lambda name: pytest.fail("a model was loaded"))
    assert cli.run(["predict", "a.png", "--out", "mine.csv"]) == ExitCode.USAGE
    assert capfd.readouterr().err == (
        "facetag: error: mine.csv was not written by facetag and would be replaced; "
        "choose another --out, or use --overwrite\n"
    )
    assert (tmp_path / "mine.csv").read_text() == "name,price\n"


def test_a_record_of_many_paths_is_a_record(tmp_path):
    paths = [f"{number}-" + "\u65e5" * 80 for number in range(10_000)]
    (tmp_path / "x.run.json").write_text(
        json.dumps({"command": "predict", "outcome": "finished", "versions": {}, "options": {"paths": paths}}, indent=1)
    )
    refuse_other_files(str(tmp_path / "x.run.json"))


@pytest.mark.parametrize("what", ["link", "text", "folder", "fifo"])
def test_what_is_no_record_is_not_replaced_by_one(tmp_path, monkeypatch, capfd, what):
    monkeypatch.chdir(tmp_path)
    save_good(tmp_path, "a.png")
    path, precious = tmp_path / "tags.csv.run.json", tmp_path / "precious"
    precious.write_text('{"mine": 1}')
    {
        "link": lambda: path.symlink_to(precious),
        "text": lambda: path.write_text('{"mine": 1}'),
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
    }[what]()
    monkeypatch.setattr("facetag.model.load_model", lambda name: pytest.fail("a model was loaded"))
    assert cli.run(["predict", "a.png", "--out", "tags.csv"]) == ExitCode.USAGE
    assert "tags.csv.run.json is no run's record and would be replaced; move it away" in capfd.readouterr().err
    assert precious.read_text() == '{"mine": 1}' and (what != "text" or path.read_text() == '{"mine": 1}')
    assert not (tmp_path / "tags.csv").exists() and not list(tmp_path.glob("*.sqlite"))


def test_a_folder_as_output_and_an_empty_name_are_said_for_what_they_are(localize, tmp_path):
    (tmp_path / "tags.csv").mkdir()
    code, _, err = localize("in", "--out", "tags.csv")
    assert (
        code == 1
        and err == "facetag: error: cannot write tags.csv: Is a directory; choose another place or make room\n"
    )
    code, _, err = localize("", "--out", "other.csv")
    assert code == 3 and "facetag: error: '': unreadable: No such file or directory" in err


def test_a_line_ends_somewhere(localize, tmp_path):
    (tmp_path / "list").write_text("x" * 1_000_000)
    code, _, err = localize("--files-from", "list", "--out", "faces.csv")
    assert code == 3 and len(err) < 20_000 and "xxx...\n" in err


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
