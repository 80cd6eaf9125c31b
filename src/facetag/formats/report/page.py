"""The pages: one file each that asks no network, with all that its filter needs packed into it."""

import base64
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import Any, TextIO

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from facetag.formats.path_encoding import escape
from facetag.formats.report.changes import KINDS, Change, Totals
from facetag.formats.report.summary import BINS, PRESENT, UNSURE, Shown, Summary
from facetag.formats.report.thumbnails import Thumbnails
from facetag.results import Status

PACKED = 18 << 20  #: bytes of base64 for the paths in a page; what is over is counted, not listed


@dataclass(frozen=True)
class Bar:
    """One attribute's line.

    Attributes:
        percent_present: of the faces, in percent, that have it.
        heights: of the bars of its distribution, 0 to 20.
    """

    name: str
    present: int
    unsure: int
    percent_present: float
    heights: tuple[float, ...]


def write_report(stream: TextIO, summary: Summary, images: Thumbnails, title: str, missing: int = 0) -> None:
    """Write the page of an output.

    Args:
        missing: photos that could not be read for their thumbnails.
    """
    packed, listed = _packed(summary)
    values = {
        "title": title,
        "summary": summary,
        "statuses": [(status.value, summary.statuses[status], status.is_failure) for status in Status],
        "failures": sorted(summary.failures.values(), key=lambda failure: -failure.count),
        "bars": _bars(summary),
        "show": _shower(images),
        "missing": missing,
        "pictures": list(images.values()),
        "packed": packed,
        "listed": listed,
        "facts": {
            "attributes": list(summary.attributes),
            "statuses": [status.value for status in Status],
            "faces": summary.faces,
            "unsure": bool(len(summary.decided) and summary.decided[:, UNSURE].any()),
        },
    }
    render(stream, "report.html", values, "report.js")


def render(stream: TextIO, template: str, values: Mapping[str, Any], script: str = "") -> None:
    """Fill a template into a stream, piece by piece. The page may run its own script and ask for nothing."""
    code = _text(script) if script else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"
    common = {"script": code, "style": _text("style.css"), "policy": policy, "version": metadata.version("facetag")}
    for piece in _environment().get_template(template).generate(values, **common):
        stream.write(piece)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("facetag.formats.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["escaped"] = escape
    return environment


def _text(name: str) -> str:
    return (files("facetag.formats.report") / "templates" / name).read_text(encoding="utf-8")


def _bars(summary: Summary) -> list[Bar]:
    lines = []
    for name, counts, decided in zip(summary.attributes, summary.histogram, summary.decided, strict=True):
        heights = tuple(round(float(height), 1) for height in counts / max(counts.max(), 1) * BINS)
        percent_present = 100 * decided[PRESENT] / max(summary.faces, 1)
        lines.append(Bar(name, int(decided[PRESENT]), int(decided[UNSURE]), float(percent_present), heights))
    return lines


def _shower(images: Thumbnails) -> Any:
    """What the templates ask of a face; its picture is a place in the list of pictures, which the page holds once."""
    indices = {face: index for index, face in enumerate(images)}

    def show(face: Shown) -> dict[str, Any]:
        return {
            "path": escape(face.path),
            "number": face.number,
            "value": f"{face.value:.2f}",
            "picture": indices.get((face.path, face.number)),
        }

    return show


def _packed(summary: Summary) -> tuple[dict[str, str], int]:
    """The columns of the filter, compressed; and of how many inputs there are paths."""
    decisions = summary.decisions()
    present, unsure = (
        np.packbits(decisions == code, axis=0, bitorder="little").T.tobytes() for code in (PRESENT, UNSURE)
    )
    paths, listed = bytes(summary.paths), summary.inputs
    packed = _pack(paths)
    while len(packed) > PACKED:  # longer names than a page should hold: the first ones that fit
        listed = int(listed * PACKED / len(packed) * 0.95)
        paths = b"".join(line + b"\n" for line in paths.split(b"\n", listed)[:listed])
        packed = _pack(paths)
    columns = {"codes": bytes(summary.codes), "counts": bytes(summary.counts), "present": present, "unsure": unsure}
    return {"paths": packed, **{name: _pack(data) for name, data in columns.items()}}, listed


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 6)).decode()


def write_diff(stream: TextIO, totals: Totals, listed: Sequence[Change], old: str, new: str) -> None:
    """Write the page of what changed; `listed` are the first of the changes."""
    names = dict.fromkeys(name for name, _ in sorted(totals.tags))
    flips = [(name, totals.tags[name, "tag_gained"], totals.tags[name, "tag_lost"]) for name in names]
    values = {
        "old": old,
        "new": new,
        "totals": totals,
        "kinds": KINDS,
        "flips": flips,
        "listed": listed,
        "total": totals.kinds.total(),
    }
    render(stream, "diff.html", values)
