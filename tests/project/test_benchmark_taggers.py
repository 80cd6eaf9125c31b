"""benchmarks/taggers.py with rivals that the tests write; nothing is installed."""

import csv
import json
import subprocess
import sys
from contextlib import ExitStack
from math import isnan
from pathlib import Path

import contestants
import cv2
import environments
import machine
import numpy as np
import pictures
import pytest
import speed_report
import taggers
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facetag.errors import DataError, FacetagError
from facetag.evaluate.speed import multiply_adds
from facetag.model import load_model, save_model
from facetag.networks.anet import HEIGHT, WIDTH, ANet
from models import CARD, center_model, random_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
#: Two faces in every file; says what it was started as, and ends at a file that is not there.
RIVAL = """
import json, os, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    for file in asked["files"]:
        open(file).close()
    with open(asked["out"], "w") as out:
        out.write(sys.argv[1] + " " + os.environ["NODE_PATH"])
    print(json.dumps({"faces": 2 * len(asked["files"])}), flush=True)
"""
INSTALLED = environments.Environment("installed", ("none==1",), ("packed@1",))


@pytest.fixture
def rival(tmp_path, monkeypatch):
    """A rival whose script is RIVAL and whose environment is this one."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "rival.py").write_text(RIVAL)
    monkeypatch.setattr(contestants, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(contestants, "python_of", lambda environment, folder: Path(sys.executable))
    one = contestants.Rival(INSTALLED, Path(sys.executable).name, "rival.py", "all", "boxes")
    monkeypatch.setitem(contestants.RIVALS, "rival", one)
    return one


@pytest.fixture
def photographs(tmp_path) -> pictures.Pictures:
    return pictures.made(tmp_path / "made", 48, 2)


def measured_of(photographs, **timed: speed_report.Timed) -> speed_report.Measured:
    """Figures of facetag (a billion multiply-adds an image), a rival, and a billion a second in products, half as many
    again in convolutions."""
    limits = {contestants.PRODUCT: 2.0**-30, contestants.CONVOLUTION: 2.0**-30 / 1.5}
    everyone = {**timed, **{limit: speed_report.Timed({"long": [seconds]}) for limit, seconds in limits.items()}}
    answers = dict.fromkeys(timed, "boxes")
    return speed_report.Measured(
        photographs, speed_report.facts_of(photographs.files), answers, everyone, {"facetag": 2.0**30}
    )


def test_made_photographs_differ_and_the_longer_run_has_those_of_the_shorter(photographs):
    assert [file.name for file in photographs.files] == ["000000.jpg", "000001.jpg", "000002.jpg", "000003.jpg"]
    contents = [file.read_bytes() for file in photographs.files]
    assert len(set(contents)) == 4
    assert [file.read_bytes() for file in sorted(photographs.short.iterdir())] == contents[:2]
    assert all(cv2.imread(str(file)).shape == (48, 48, 3) for file in photographs.files)
    again = pictures.made(photographs.short.parent.parent / "again", 48, 2)
    assert [file.read_bytes() for file in again.files] == contents


def test_made_photographs_show_the_face_and_its_colours():
    photograph = pictures.read_image(str(pictures.PHOTOGRAPH)).pixels
    plain = pictures.crop(photograph, pictures.AROUND, 100, 100)
    varied = pictures.variant(photograph, 100, np.random.default_rng(3))
    assert varied.shape == (100, 100, 3) and varied.dtype == np.uint8
    smooth = [cv2.GaussianBlur(picture, (0, 0), 3).ravel() for picture in (plain, varied)]
    assert 0.9 < np.corrcoef(smooth)[0, 1] < 0.9999


def test_sampled_photographs_are_jpeg_and_none_comes_twice(tmp_path):
    (tmp_path / "album").mkdir()
    for number in range(6):
        data = pictures.encode(np.full((8, 8, 3), 40 * (number // 2), np.uint8))  # each twice
        (tmp_path / "album" / f"{number}.jpg").write_bytes(data)
    (tmp_path / "album" / "other.png").write_bytes(b"")
    found = pictures.sampled(tmp_path / "sampled", tmp_path / "album", 3)
    assert (found.title, found.count, len(found.files)) == ("photographs of album", 1, 2)
    with pytest.raises(DataError, match="two different JPEG files"):
        pictures.sampled(tmp_path / "none", tmp_path / "made-of-nothing", 3)


def test_multiply_adds_are_those_of_the_layers():
    strided = nn.Conv2d(6, 9, 3, stride=2, groups=3)
    with machine.counting([nn.Sequential(strided, nn.ReLU()), nn.Linear(5, 7)]) as counted:
        strided(torch.zeros(2, 6, 9, 11))
    assert counted == [2 * 9 * 4 * 5 * (2 * 9)]  # pictures, filters, places, inputs of a group by 3 x 3
    strided(torch.zeros(1, 6, 9, 11))
    assert len(counted) == 1
    net = ANet()
    with machine.counting([net]) as counted, FlopCounterMode(display=False) as torchs, torch.inference_mode():
        net(torch.zeros(3, 3, HEIGHT, WIDTH))
    assert sum(counted) == 3 * multiply_adds(net, HEIGHT, WIDTH).patches == torchs.get_total_flops() / 2
    with pytest.raises(TypeError, match="Bilinear is not counted yet"):
        machine.multiply_adds_of(nn.Bilinear(1, 1, 1), torch.zeros(1, 1))


@pytest.mark.parametrize("make", [random_model, center_model])
def test_a_models_multiply_adds_are_counted_in_a_real_run(make, photographs):
    model = make()
    assert machine.multiply_adds(model, photographs.files) > 1e6
    layers = [layer for net in machine.nets_of(model) for layer in net.modules() if list(layer.parameters(False))]
    assert all(machine.multiply_adds_of(layer, torch.zeros(1)) for layer in layers)


def test_steady_is_the_slope_and_a_rivals_whole_time(photographs):
    ours = speed_report.Timed({"short": [5, 5, 9], "long": [6, 7, 9.5], "first": [4, 3, 2]}, faces=4)
    measured = measured_of(photographs, facetag=ours, rival=speed_report.Timed({"long": [1, 2, 8]}, faces=3))
    assert measured.steady("facetag") == 2 and measured.extremes("facetag") == (1, 4)  # two further files in 1 s
    assert measured.command("facetag") == 4 / 7 and measured.first("facetag") == 3
    assert measured.steady("rival") == 2 and measured.extremes("rival") == (0.5, 4)
    assert isnan(measured.command("rival")) and isnan(measured.first("rival"))
    assert measured.multiply_adds_a_second("matrix products") == 2**30
    assert measured.allowed("facetag", "matrix products") == 1
    rows = {name: cells for name, *cells in speed_report.table(measured, 3).rows}
    assert rows == {
        "facetag": ["boxes", "1", "2", "1 to 4", "0.571", "3"],
        "rival": ["boxes", "0.75", "2", "0.5 to 4", "-", "-"],
    }
    assert list(speed_report.allowance(measured).rows) == [("facetag", "1074", "2", "1", "200", "1.5", "133")]


def test_what_noise_or_failure_left_out_is_said(photographs):
    swift = speed_report.Timed({"short": [5], "long": [4], "first": [1]})
    measured = measured_of(photographs, facetag=swift, rival=speed_report.Timed({"long": [1]}, reason="no wheel"))
    text = speed_report.report(measured, 1)
    assert "not measured: rival: no wheel" in text.splitlines()
    (row,) = speed_report.table(measured, 1).rows
    assert row[3:] == ("-", "-", "1", "1")
    written = json.loads(taggers.to_json(speed_report.as_json(measured)))
    assert written["systems"]["rival"] == {"not_measured": "no wheel"}
    assert written["systems"]["facetag"]["steady_images_per_second"] is None


def test_the_machines_rates_are_of_what_is_said_to_be_done(monkeypatch):
    done = []
    monkeypatch.setattr(machine, "_seconds", lambda work: done.append(work()) or 1.0)
    assert machine.product_seconds() == machine.SIDE**-3 and done[0].shape == (machine.SIDE, machine.SIDE)
    with machine.counting([layer := torch.nn.Conv2d(machine.CHANNELS, machine.CHANNELS, 3, padding=1)]) as counted:
        layer(torch.zeros(1, machine.CHANNELS, machine.MAP, machine.MAP))
    assert machine.convolution_seconds() == pytest.approx(1 / counted[0]) and done[1].shape[1:] == (256, 64, 64)


def test_all_take_turns_and_each_begins_one(capsys):
    order = []

    def contestant(name):
        def work():
            order.append(name)
            return contestants.Taken(len(order), 7)

        return contestants.Contestant(name, "", {"long": work}, lambda: order.append(f"warm {name}"))

    timed = taggers.take_turns([contestant("a"), contestant("b")], 2)
    assert order == ["warm a", "warm b", "a", "b", "b", "a"]
    assert timed["a"].seconds == {"long": [3, 6]} and timed["a"].faces == 7


def test_who_fails_is_left_out_from_then_on(capsys):
    calls = []

    def fail():
        calls.append(1)
        raise FacetagError("it broke", "mend it")

    timed = taggers.take_turns([contestants.Contestant("a", "", {"long": fail})], 3)
    assert timed["a"].reason == "it broke; mend it" and len(calls) == 1


@pytest.mark.process
def test_a_rival_is_asked_for_csv_files_and_its_last_words_are_the_reason(rival, tmp_path, photographs):
    with ExitStack() as stack:
        process = contestants.start_rival(rival, tmp_path, stack)
        one = contestants.contestant_of("rival", rival, process, photographs, tmp_path)
        taken = one.jobs["long"]()
        assert taken.faces == 8 and taken.seconds > 0
        assert (tmp_path / "all.csv").read_text() == f"all {tmp_path / 'installed' / 'node_modules'}"
        with pytest.raises(FacetagError, match=r"^rival\.py all ended; FileNotFoundError.*missing"):
            contestants.tag_files(process, ["missing"], tmp_path / "out.csv")


@pytest.mark.process
def test_a_rival_that_cannot_start_has_a_reason(rival, tmp_path):
    (tmp_path / "scripts" / "rival.py").write_text("import nothing_of_that_name")
    with ExitStack() as stack:
        started = contestants.start_rivals(["rival"], tmp_path, stack)
    assert started["rival"].startswith("rival.py all ended; ModuleNotFoundError")


def test_what_cannot_be_installed_says_why(tmp_path, monkeypatch):
    ran = []

    def run(command, **_):
        ran.append([str(word) for word in command])
        if "npm" in ran[-1][0]:
            raise subprocess.CalledProcessError(1, command, stderr="npm error 404 no such thing\nnpm notes\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FacetagError, match=r"^packed@1 cannot be installed; npm error 404 no such thing$"):
        environments.python_of(INSTALLED, tmp_path)
    assert [command[-1] for command in ran] == [str(tmp_path / "installed"), "none==1", "packed@1"]
    assert "--ignore-scripts" in ran[2]


@pytest.mark.process
def test_facetag_runs_as_people_run_it(rival, tmp_path, monkeypatch, capsys):
    save_model(center_model("tiny"), tmp_path / "tiny", CARD)
    words = ["--environments", str(tmp_path), "--models", str(tmp_path / "tiny"), "missing", "--rivals", "rival"]
    words += ["--sides", "64", "--count", "1", "--turns", "1", "--json", str(tmp_path / "speed.json")]
    monkeypatch.setattr(sys, "argv", ["taggers.py", *words])
    taggers.main()
    out = capsys.readouterr().out
    assert "64x64, one face: 2 JPEG files" in out and "not measured: facetag missing: no model" in out
    (found,) = json.loads((tmp_path / "speed.json").read_text())["sets"]
    ours = found["systems"]["facetag tiny"]
    assert set(ours["seconds"]) == {"short", "long", "first"} and ours["command_images_per_second"] > 0
    same = pictures.made(tmp_path / "same", 64, 1)
    assert ours["multiply_adds_per_image"] == pytest.approx(
        machine.multiply_adds(load_model(str(tmp_path / "tiny")), sorted(same.short.iterdir()))
    )
    assert found["systems"]["rival"]["faces"] == 4


@pytest.mark.process
def test_facetag_that_fails_is_not_timed(tmp_path, photographs):
    with pytest.raises(FacetagError, match=r"^facetag ended with \d+; .*no model at"):
        contestants.predict(photographs.short, str(tmp_path / "none"), tmp_path)


def test_python_rivals_write_a_row_a_face(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "rivals"))
    import tag_files

    faces = {"a.jpg": [(1, 2, 3, 4)], "b.jpg": [(5, 6, 7, 8), (9, 9, 9, 9)]}
    rows = tag_files.tag_files(list(faces), str(tmp_path / "out.csv"), tag_files.BOX, lambda file: iter(faces[file]))
    with (tmp_path / "out.csv").open(newline="") as stream:
        written = list(csv.reader(stream))
    assert rows == 3 and written[0] == list(tag_files.BOX) and written[2] == ["b.jpg", "5", "6", "7", "8"]
    named = {one.variant for one in contestants.RIVALS.values() if one.script == "tag_files.py"}
    assert named == set(tag_files.RIVALS)


def test_every_rivals_script_is_there_and_its_versions_are_pinned():
    for one in contestants.RIVALS.values():
        assert (contestants.SCRIPTS / one.script).is_file()
        assert all("==" in requirement for requirement in one.environment.requirements)
        assert all("@" in package[1:] for package in one.environment.packages)
