"""The documentation says what the code does: every command, option, column, status, exit code and error."""

import csv
import re
import runpy
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from facetag import cli
from facetag.attributes import GROUPS
from facetag.cli import config
from facetag.cli.progress import EVERY
from facetag.datasets.tags import load_tags_csv
from facetag.errors import ExitCode
from facetag.evaluate.localization import load_annotated_images
from facetag.formats.writers import WRITERS
from facetag.formats.writers.csv import COLUMNS, DECISIONS
from facetag.results import Status
from facetag.runs.failure_budget import budget_of
from facetag.runs.journal import ENDING as JOURNAL
from facetag.runs.run_files import LOCK
from facetag.runs.run_report import ENDING as RECORD

DOCS = Path(__file__).parents[2] / "docs"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))


def read(name):
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name):
    """The cells of all tables of a page, row by row."""
    lines = [line for line in read(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def first_words(name):
    return {word for row in rows(name) for word in re.findall(r"`([^`]+)`", row[0])}


@pytest.mark.parametrize("name", GENERATE["PAGES"])
def test_pages_that_the_code_writes_are_up_to_date(name):
    assert read(name) == GENERATE["PAGES"][name](), "run python docs/generate.py"


def every_command(command, path):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from every_command(below, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(every_command(get_command(cli.app), "facetag")))
def test_every_command_and_option_stands_in_its_section(path, command):
    _, found, text = read("commands.md").partition(f"# `{path}`\n")
    section = re.split(r"\n#+ `", text)[0]
    options = [name for parameter in command.params for name in parameter.opts if name.startswith("-")]
    assert found and [name for name in options if not re.search(rf"[`\s]{name}[`,\s]", section)] == []


def test_every_status_column_format_and_group_stands_in_outputs():
    words = first_words("outputs.md")
    assert {status.value for status in Status} <= words
    assert {*COLUMNS, *DECISIONS} <= words
    assert set(WRITERS) <= words
    assert {f"FILE{ending}" for ending in (JOURNAL, RECORD, LOCK)} <= words
    assert {
        row[0].strip("`"): tuple(row[1].split(", ")) for row in rows("outputs.md") if row[0].strip("`") in GROUPS
    } == GROUPS
    assert EVERY == 10 and "every ten seconds" in read("outputs.md")


def test_nothing_else_passes_for_a_status():
    section = read("outputs.md").partition("## Statuses")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == [status.value for status in Status]


def test_every_exit_code_stands_in_exit_codes():
    table = {(row[0], row[1]) for row in rows("exit-codes.md")}
    assert {(str(code.value), code.name) for code in ExitCode} <= table
    assert len([code for code, _ in table if code.isdigit()]) == len(ExitCode)
    assert {"never", "any", "all", "0.05", "5%"} <= first_words("exit-codes.md") and budget_of("5%").rate == 0.05


def test_every_error_has_its_remedy_and_no_more_than_placeholders_are_unknown():
    errors = list(GENERATE["every_error"]())
    assert len(errors) > 150
    assert [error for error in errors if not error.remedy.strip()] == []
    assert [error for error in errors if error.remedy == error.remedy.upper()] == []


def test_the_longest_literal_part_of_every_message_is_found_as_a_user_would_look_for_it():
    page = read("errors.md").replace(r"\|", "|")
    parts = [" ".join(part.split()) for part in GENERATE["literal_parts"]()]
    assert len(parts) > 300
    assert [part for part in parts if part not in page] == []


def test_the_example_of_configuration_is_understood():
    example = re.search(r"```toml\n(.*?)```", read("configuration.md"), re.DOTALL)[1]
    command = get_command(cli.app)
    defaults = config.defaults(command, tomllib.loads(example), "example")
    assert defaults["predict"] == {"attributes": ["Smiling", "hair"], "unsure": ["0.05"], "min_face": 40}
    named = set(re.findall(r"`(FACETAG_[A-Z_]+[A-Z])(?:=\w+)?`", read("configuration.md")))
    assert len(named) == 3 and named <= set(config.variables(command))


def anchors(page):
    """Headings as a browser's address names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere():
    root, followed = DOCS.parent, 0
    for page in (*root.glob("*.md"), *DOCS.glob("*.md"), *root.glob("models/*/*.md")):
        for target, _, anchor in (
            link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        ):
            if target.startswith(("http:", "https:")):
                continue
            there = page.parent / target if target else page
            assert there.exists(), (page.name, target)
            assert not anchor or anchor in anchors(there), (page.name, target, anchor)
            followed += 1
    assert followed > 15


def test_the_hard_cases_of_the_pictures_have_their_boxes_and_tags(tmp_path: Path) -> None:
    pictures = runpy.run_path(str(DOCS / "pictures.py"))
    pictures["write_cases"](tmp_path)
    boxes, tags = (
        list(csv.DictReader((tmp_path / name).read_text().splitlines())) for name in ("boxes.csv", "tags.csv")
    )
    made = sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(made) == 30 and {row["file"] for row in boxes} < set(made)
    assert len(boxes) == 26 + 4 * 4 + 9 * 9 and len(tags) == 26
    assert {row["Male"] for row in tags} == {"0", "1"}
    load_tags_csv(tmp_path / "tags.csv")
    assert load_annotated_images(tmp_path, tmp_path / "boxes.csv").missing == 0
