"""Which files the command line asks for: what the options about folders mean, from end to end."""

import os

import numpy as np
import pytest
from PIL import Image
from readback import read_jsonl

from facetag import cli
from facetag.errors import ExitCode
from models import GREY, model_folder  # noqa: F401 - a fixture


@pytest.fixture
def names(model_folder, tmp_path, monkeypatch, capfdbinary):  # noqa: F811
    """Makes grey pictures, runs a command in tmp_path and answers with the paths in its output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, pictures=(), command="localize"):
        for name in pictures:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((40, 40, 3), GREY, np.uint8)).save(tmp_path / name)
        words = [command, *arguments, "--model", str(model_folder), "--format", "jsonl", "-q"]
        assert cli.run(words) == ExitCode.OK
        return [record.path for record in read_jsonl(capfdbinary.readouterr().out.decode())]

    return run


@pytest.mark.parametrize("command", ["predict", "localize"])
def test_links_and_hidden_files_are_entered_when_asked(names, tmp_path, command):
    pictures = ["in/a.png", "in/.b.png", "in/.c/d.png", "else/e.png"]
    (tmp_path / "in").mkdir()
    os.symlink("../else", tmp_path / "in" / "link")
    os.symlink("..", tmp_path / "in" / "loop")
    assert names("in", pictures=pictures, command=command) == ["in/a.png"]
    assert names("in", "--hidden", command=command) == ["in/.b.png", "in/.c/d.png", "in/a.png"]
    followed = ["in/a.png", "in/link/e.png", "in/loop/else/e.png"]
    assert names("in", "--follow-links", command=command) == followed
