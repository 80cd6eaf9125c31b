"""The failure budget of a run: how many of its inputs may fail before the run as a whole has failed."""

from dataclasses import dataclass

from facetag.errors import UsageError

ENOUGH = 100  #: inputs after which a share of failures is believed while the run still lasts


@dataclass(frozen=True)
class Budget:
    """`never`, `any`, `all`, or a share of the inputs.

    Attributes:
        name: as given.
        rate: a larger share of failures is too much; None for the names.
    """

    name: str = "any"
    rate: float | None = None

    def is_spent(self, failed: int, total: int) -> bool:
        """Whether a whole run of `total` inputs has failed."""
        if self.rate is not None:
            return failed > self.rate * total
        return {"never": False, "any": failed > 0, "all": 0 < failed == total}[self.name]

    def stops(self, failed: int, total: int) -> bool:
        """Whether a run is to stop after so many inputs: more failed than a rate allows, of enough to believe it.

        A rate of 0 needs no more than one failure to be sure. The names wait for the end of the run.
        """
        return self.rate is not None and self.is_spent(failed, total) and (total >= ENOUGH or self.rate == 0)


def budget_of(text: str) -> Budget:
    """The Budget called never, any or all, or a rate such as 0.05 or 5%.

    Raises:
        UsageError: it is none of these.
    """
    if text in ("never", "any", "all"):
        return Budget(text)
    try:
        rate = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise UsageError(f"{text!r} is no failure budget", "use never, any, all, or a rate such as 0.05 or 5%")
    return Budget(text, rate)
