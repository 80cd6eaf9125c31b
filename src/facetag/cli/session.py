"""What one call of `facetag` carries along to the command that it runs."""

from dataclasses import dataclass, field

from facetag.cli.console import say
from facetag.cli.signals import Signals


def _will_stop() -> None:
    say("finishing what is in hand; once more ends it at once")


@dataclass
class Session:
    """What the options before the command said, and the signals that came.

    Attributes:
        debug: tracebacks are shown.
    """

    debug: bool = False
    signals: Signals = field(default_factory=lambda: Signals(_will_stop))
