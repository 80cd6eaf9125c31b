"""`facetag doctor` says what is well and what is not."""

import errno
import fcntl
import os

import pytest

from facetag import cli
from facetag.cli.commands import doctor
from facetag.errors import ExitCode
from facetag.images import selftest
from facetag.images.file_types import HEIC, KINDS, PNG


@pytest.fixture
def ask(model_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = cli.run(["doctor", "--model", str(model_folder), *words])
        out, err = capsys.readouterr()
        assert err == ""
        return code, out.splitlines()

    return run


def test_a_sound_installation_is_well_and_nothing_is_left_behind(ask, tmp_path):
    code, lines = ask("--device", "cpu")
    assert code == ExitCode.OK and all(line.startswith("ok      ") for line in lines)
    text = "\n".join(lines)
    for word in ("facetag 0.", "torch 2", "device: cpu", "AVIF images: well", "random, whole, digest ", str(tmp_path)):
        assert word in text
    assert list(tmp_path.iterdir()) == []


def test_what_the_file_system_does_not_do_is_named_and_runs_do_without(ask, monkeypatch, capsys):
    _, lines = ask("--device", "cpu")
    works = [line for line in lines if line.startswith("ok      writing: f")]
    assert [line.split()[2:] for line in works[1:]] == [["fsync", "works"], ["flock", "works"], ["fcntl", "works"]]
    for module, name in ((os, "fsync"), (fcntl, "flock"), (fcntl, "lockf")):
        monkeypatch.setattr(module, name, refusing(errno.EINVAL))
    code = cli.run(["doctor", "--model", "nowhere"])
    out, err = capsys.readouterr()
    assert code == ExitCode.FATAL and "lies on a file system without locks" in err
    assert all(f"ok      writing: {name} is unknown there" in out for name in ("fsync", "flock", "fcntl"))


def refusing(number):
    def refuse(*words):
        raise OSError(number, os.strerror(number))

    return refuse


def broken(lines):
    return [line for line in lines if line.startswith("broken  ")]


def test_everything_else_is_looked_at_when_something_is_broken(ask):
    code, lines = ask("--model", "nowhere", "--out", "nowhere", "--device", "cuda:99")
    assert code == ExitCode.FATAL
    assert [line.split()[1] for line in broken(lines)] == ["device:", "model:", "writing:"]
    assert any(line.startswith("ok      JPEG images: well") for line in lines)


def test_a_flipped_byte_in_the_weights_is_found(ask, model_folder, tmp_path):
    for file in model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = bytearray((tmp_path / "anet.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (tmp_path / "anet.safetensors").write_bytes(weights)
    code, lines = ask("--model", str(tmp_path))
    assert code == ExitCode.FATAL and "anet.safetensors is not the file" in broken(lines)[0]


def test_a_decoder_that_is_broken_is_said_and_one_without_its_extra_is_no_fault(ask, monkeypatch):
    monkeypatch.setattr(selftest, "sample", lambda kind: b"")
    code, lines = ask()
    assert code == ExitCode.FATAL and broken(lines) == [f"broken  {kind} images: the file is empty" for kind in KINDS]
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    assert list(doctor.CHECKS["HEIC images"](doctor.Setup(None, "cpu", None)))[-1].startswith("left out: ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_tried(kind):
    if kind == HEIC:
        pytest.importorskip("pillow_heif")
    selftest.try_kind(kind)


def test_another_picture_than_was_stored_is_no_success(monkeypatch):
    monkeypatch.setattr(selftest, "_NEAR", -1)
    with pytest.raises(selftest.UnreadableImage, match="PNG does not decode"):
        selftest.try_kind(PNG)
