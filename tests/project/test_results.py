"""docs/results.py: its commands are those that facetag has, and it goes on where it was stopped."""

import runpy
from pathlib import Path

import pytest
from click import Command, Context, Group
from typer.main import get_command

from facetag.cli import app
from facetag.training.recipe import load_recipe

ROOT = Path(__file__).parents[2]
RESULTS = runpy.run_path(str(ROOT / "docs" / "results.py"))


def command_of(words):
    """The command that these words name."""
    found: Command = get_command(app)
    while isinstance(found, Group):
        found = found.get_command(Context(found), words.pop(0)) or pytest.fail(f"no command {words}")
    return found


def steps(tmp_path):
    figures = list(RESULTS["figures"](Path("data"), tmp_path, Path("haar.csv"), ["dlib=dlib.csv"]))
    return [*RESULTS["trainings"](Path("data"), tmp_path / "runs"), *figures]


def test_every_step_is_a_command_as_it_stands(tmp_path):
    for step in steps(tmp_path):
        if step.command[0] == "facetag":
            words = list(step.command[1:])
            command = command_of(words)
            command.make_parser(Context(command)).parse_args(words)  # an unknown option raises
        else:
            assert (ROOT / step.command[0]).is_file()


def test_every_figure_of_the_page_has_its_step(tmp_path):
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    titles = " ".join(step.title for step in steps(tmp_path))
    for number in (
        "Table 1",
        *(f"Fig. {number}" for number in ("2", "4b", "6", "7a", "8", "9", "10", "11", "12", "13")),
    ):
        assert number in titles and number.rstrip("a") in page
    assert "5.2" in titles and "14" in titles


def test_recipes_of_few_tags_are_recipes(tmp_path):
    for count in RESULTS["TAG_COUNTS"]:
        file = tmp_path / f"{count}.toml"
        file.write_text(RESULTS["few_tags"](count))
        stage = load_recipe(str(file)).lnet_o
        assert len(stage.tags) == (count if count < 40 else 0) and stage.any_weight == 0 and stage.loop.epochs == 1


def test_what_is_there_is_not_made_again_and_what_fails_ends_it(tmp_path, capfd):
    step, log = RESULTS["Step"], tmp_path / "log.txt"
    done = tmp_path / "made.json"
    RESULTS["run"](step("made", ["-c", "print('figures')"], done), log)
    assert log.read_text() == "figures\n"
    done.touch()
    RESULTS["run"](step("made", ["-c", "raise SystemExit(3)"], done), log)
    assert log.read_text() == "figures\n" and "made: done before" in capfd.readouterr().err
    done.unlink()
    with pytest.raises(SystemExit, match="made ended with 3"):
        RESULTS["run"](step("made", ["-c", "raise SystemExit(3)"], done), log)


def test_the_index_links_what_was_made(tmp_path):
    made = [step for step in steps(tmp_path) if step.name in ("table", "speed", "sizes")]
    for name in ("table", "speed"):
        (tmp_path / f"{name}.json").touch()
    page = RESULTS["index"](made, tmp_path)
    assert 'href="table.html">Table 1' in page and 'href="speed.html">5.2' in page and "sizes" not in page
