"""What a command says: data on standard output or in files, everything else on standard error."""

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from facetag.errors import UsageError


def say(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def seconds(text: str | None) -> float | None:
    """`90`, `90s`, `20m` or `2h` as seconds; None stays None.

    Raises:
        UsageError: it is none of these.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a time", "write 90s, 20m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def metrics_reporter(quiet: bool) -> Callable[[dict[str, Any]], None]:
    """A receiver for rows of training metrics: every validation, and a line of progress now and then."""
    last = 0.0

    def report(row: dict[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if quiet or ("validation" not in row and now - last < 10):
            return
        last = now
        say(" ".join(f"{key}={json.dumps(value) if isinstance(value, dict) else value}" for key, value in row.items()))

    return report
