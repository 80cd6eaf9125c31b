"""The measured section of a model's CARD.md: accuracy per attribute beside the majority baseline."""

from pathlib import Path

from facetag.errors import ModelError, writing
from facetag.evaluate.report import Table

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def read_card(path: Path) -> str:
    """The card, when its measured section can be replaced; the file is opened as for writing and left as it is.

    Raises:
        ModelError: it has no such section.
        FacetagError: it is missing or cannot be written.
    """
    with writing(path), path.open("r+", encoding="utf-8") as file:
        card = file.read()
    with_measurements(card, "", [])
    return card


def with_measurements(card: str, command: str, tables: list[Table]) -> str:
    """The card with its measured section replaced by these tables and the command that makes them.

    Raises:
        ModelError: the card has no such section.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ModelError("the model's CARD.md has no measured section", f"put the lines {BEGIN} and {END} into it")
    section = "\n\n".join(["## Accuracy", f"By `{command}`.", *map(markdown, tables)])
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def markdown(table: Table) -> str:
    """The table in Markdown, its title above it; figures to the right."""
    head, rule = _row(table.columns), _row(("---", *("---:" for _ in table.columns[1:])))
    return "\n".join([f"{table.title}.", "", head, rule, *map(_row, table.rows)])


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
