"""The failure budget of a run: how many of its inputs may fail before the run as a whole has failed."""

from dataclasses import dataclass
from decimal import Decimal

from facetag.errors import UsageError


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
            return total > 0 and failed / total > self.rate  # a product is rounded: 0.29 * 100 is less than 29
        return {"never": False, "any": failed > 0, "all": 0 < failed == total}[self.name]

    def stops(self, failed: int, total: int | None) -> bool:
        """Whether a run is to stop before its end: whatever is left, it has failed.

        Args:
            failed: inputs that failed in this run; what failed in earlier ones counts at the end alone.
            total: of the run's inputs; None while they are not all known, for then more may bring it under the rate.
        """
        return self.rate is not None and total is not None and self.is_spent(failed, total)


def budget_of(text: str) -> Budget:
    """The Budget called never, any or all, or a rate such as 0.05 or 5%.

    Raises:
        UsageError: it is none of these.
    """
    if text in ("never", "any", "all"):
        return Budget(text)
    try:
        rate = float(Decimal(text[:-1]).scaleb(-2) if text.endswith("%") else Decimal(text))
    except (ArithmeticError, ValueError):
        rate = -1.0
    if not 0 <= rate <= 1:
        raise UsageError(f"{text!r} is no failure budget", "use never, any, all, or a rate such as 0.05 or 5%")
    return Budget(text, rate)
