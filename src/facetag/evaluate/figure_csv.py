"""A figure's numbers as CSV: what `--json` has, a number a row."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

COLUMNS = ("name", "value")


def to_csv(numbers: Mapping[str, Any]) -> str:
    """A row for each number or text; its name is the way to it in the JSON, with / between. nan is empty.

    >>> print(to_csv({"groups": [["Bald"]], "accuracy": {"Male": 0.98, "Bald": float("nan")}}), end="")
    name,value
    groups/0/0,Bald
    accuracy/Male,0.98
    accuracy/Bald,
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(numbers, ()))
    return stream.getvalue()


def _rows(value: Any, way: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _rows(each, (*way, str(name)))
    elif isinstance(value, np.ndarray):
        yield from _rows(value.tolist(), way)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, each in enumerate(value):
            yield from _rows(each, (*way, str(index)))
    else:
        yield "/".join(way), _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.7g}"
    return "" if value is None else str(value)
