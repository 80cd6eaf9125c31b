"""Which files the command line asks for: what the options about folders mean, from end to end."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from readback import read_jsonl

from facetag import cli
from facetag.errors import ExitCode
from facetag.geometry import Box
from models import GREY


@pytest.fixture
def names(model_folder, tmp_path, monkeypatch, capfdbinary):
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


def test_paths_are_written_as_a_folder_sees_them(names, tmp_path):
    """Two roots with the same relative path stay apart, and what is outside the folder is named whole."""
    pictures = ["one/a.png", "two/a.png"]
    assert names("one", "two", pictures=pictures) == pictures
    assert names("one", f"{tmp_path}/two", "--relative-to", ".") == pictures
    assert names("one", "two", "--relative-to", "two") == [f"{os.getcwd()}/one/a.png", "a.png"]


def test_a_table_of_paths_seen_from_a_folder_is_a_boxes_file_there(names, tmp_path):
    names("in", pictures=["in/a.png"])
    (tmp_path / "boxes.csv").write_text("file,x,y,width,height\na.png,1,2,30,40\n")
    words = ["in", "--relative-to", "in", "--boxes", "boxes.csv"]
    assert names(*words, command="predict") == ["a.png"]
    assert names(*words, "--out", "tags.jsonl", command="predict") == []
    (record,) = read_jsonl((tmp_path / "tags.jsonl").read_text())
    assert [face.box for face in record.faces] == [Box(1, 2, 30, 38)]  # as far as the image goes


def test_an_archive_that_moved_is_known_again(names, tmp_path):
    """Paths as the archive sees them, so that its journal knows them wherever it is mounted."""
    words = ["--out", "tags.jsonl", "--relative-to"]
    names("in", *words, "in", pictures=["in/a.png", "in/b.png"])
    before = (tmp_path / "tags.jsonl").read_bytes()
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    names("elsewhere", *words, "elsewhere")
    assert (tmp_path / "tags.jsonl").read_bytes() == before
    assert json.loads((tmp_path / "tags.jsonl.run.json").read_text())["kept"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("photos/a.jpg\n".encode("utf-16"), "the list of --files-from is UTF-16; write it as UTF-8"),
        (b"photos/a.jpg\0photos/b.jpg\0", "paths in the list of --files-from end in NUL; add -0"),
        (None, "list: No such file or directory; name a file that holds paths"),
    ],
)
def test_a_list_that_is_none_is_one_line_before_a_model_is_loaded(tmp_path, monkeypatch, capsys, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    words = ["predict", "--files-from", "list", "--model", "fast", "--out", "tags.csv"]
    assert cli.run(words) in (ExitCode.USAGE, ExitCode.FATAL)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and message in err and not list(tmp_path.glob("tags*"))
