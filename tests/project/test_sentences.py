"""README, ARCHITECTURE and docs/ read at speed: sentences are short, tables and code apart."""

import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]

LONGEST = 40  #: words in any sentence
MEDIAN = 20  #: the median of a page is under it
README_LINES = 140


def sentences(text: str) -> list[str]:
    """The sentences of a page, without code blocks, tables and headings. `;` and `:` end a sentence too."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    blocks: list[str] = [""]
    for line in text.splitlines():
        if line.startswith(("|", "#", "    ", "![", "<")) or not line.strip():
            blocks.append("")
        elif re.match(r"\s*([-*]|\d+\.) ", line):
            blocks.append(re.sub(r"^\s*([-*]|\d+\.) ", "", line))
        else:
            blocks[-1] += " " + line.strip()
    plain = (re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "code", block)) for block in blocks)
    found = (sentence.strip() for block in plain for sentence in re.split(r"(?<=[.!?;:])[)*\"]*\s+", block))
    return [sentence for sentence in found if sentence]


def test_sentences_are_split_where_a_reader_pauses() -> None:
    text = "One two. Three `a b c`; four:\n\n| no | table |\n\n- five six\n- seven\n\n```sh\nno code\n```\n"
    assert sentences(text) == ["One two.", "Three code;", "four:", "five six", "seven"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_of_a_page_are_short(page: Path) -> None:
    found = sentences(page.read_text(encoding="utf-8"))
    too_long = [sentence for sentence in found if len(sentence.split()) > LONGEST]
    assert not too_long, "\n\n".join(too_long)
    assert statistics.median(len(sentence.split()) for sentence in found) < MEDIAN


def test_readme_is_short_and_shows_a_picture_and_an_output() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    assert re.search(r"^!\[[^\]]+\]\(docs/pictures/[\w.]+\)$", text, re.M)
    assert "path,status" in text.replace("schema_version,", "")
