"""What one call of `facetag` carries along to the command that it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from facetag.cli.console import say
from facetag.cli.signals import Signals


def _will_stop() -> None:
    say("finishing what is in hand; once more ends it at once")


@dataclass
class Session:
    """What the options before the command said, and the signals that came.

    Attributes:
        debug: tracebacks are shown.
        kept: what is to be said when the command is about to run, unless it is to be quiet: how, the line, its fields.
    """

    debug: bool = False
    kept: list[tuple[Callable[..., None], str, dict[str, Any]]] = field(default_factory=list)
    signals: Signals = field(default_factory=lambda: Signals(_will_stop))
