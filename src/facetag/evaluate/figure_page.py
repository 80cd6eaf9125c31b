"""Figures in one page: pictures and numbers are packed into it, and it asks no network."""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from facetag.errors import UsageError
from facetag.evaluate import plots
from facetag.evaluate.report import Table, to_json


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure of the page.

    Attributes:
        name: what it is called; also of its numbers' file.
        claim: what the paper says; empty where it is not the paper's.
        draw: draws the picture.
        numbers: as in `--json`.
    """

    name: str
    title: str
    claim: str
    tables: Sequence[Table]
    draw: Callable[[], Any]
    numbers: dict[str, Any]

    @property
    def image_data(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(plots.png_bytes(self.draw())).decode()}"

    @property
    def json_data(self) -> str:
        """The numbers as an address that holds them."""
        return f"data:application/json;base64,{base64.b64encode(to_json(self.numbers).encode()).decode()}"


def check_page(path: Path) -> None:
    """See before a long run that the page can be written after it.

    Raises:
        UsageError: its folder is not there, or it has another ending.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a page cannot be written as {path.name}", "name it .html")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{path.parent} is not a folder", "make it, or name another file")


def page(facts: Mapping[str, Any], shown: Sequence[Figure]) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("facetag.evaluate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("figures.html").render(facts=facts, figures=shown)
