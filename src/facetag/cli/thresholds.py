"""Which attributes `predict` answers, and from which probability each is present: what its options mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.cli.options import words
from facetag.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Deciding:
    """What the command line changes in the model's decisions.

    Attributes:
        thresholds: index into ATTRIBUTES -> probability from which it is present.
        width: of every other attribute, the probabilities this near to its threshold are unsure.
        bands: index into ATTRIBUTES -> unsure from the first up to below the second, present from there.
    """

    thresholds: Mapping[int, float] = field(default_factory=dict)
    width: float = 0.0
    bands: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def edges(self, shipped: "NDArray[np.float64]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """(40,) thresholds from which each attribute is present, and (40,) from which it is unsure.

        Args:
            shipped: (40,), the model's thresholds.
        """
        middle = shipped.copy()
        for index, threshold in self.thresholds.items():
            middle[index] = threshold
        # rounded, so that 0.7 + 0.1 is the 0.8 that is written
        present_from = (middle + self.width).round(9)
        unsure_from = (middle - self.width).round(9)
        for index, (low, high) in self.bands.items():
            unsure_from[index], present_from[index] = low, high
        return present_from, unsure_from


def chosen_attributes(only: list[str] | None, without: list[str] | None) -> list[int]:
    """Indices into ATTRIBUTES of --attributes less --exclude-attributes.

    Raises:
        UsageError: a name is unknown, or none is left.
    """
    wanted = words(only) or list(ATTRIBUTES)
    excluded = attribute_indices(words(without))
    chosen = [index for index in attribute_indices(wanted) if index not in excluded]
    if not chosen:
        raise UsageError("no attribute is left", "exclude fewer, or use `facetag localize`")
    return chosen


def deciding(threshold: list[str] | None, unsure: list[str] | None) -> Deciding:
    """The meaning of --threshold NAME=P and --unsure WIDTH or NAME=LOW..HIGH; the last word on an attribute counts.

    Raises:
        UsageError: a name is unknown, a number is no probability, or one attribute has a threshold and a band.
    """
    thresholds = changed_thresholds(threshold)
    width, bands = 0.0, dict[int, tuple[float, float]]()
    for word in words(unsure):
        name, named, text = word.rpartition("=")
        if named:
            bands |= dict.fromkeys(attribute_indices([name]), _band(text, word))
        else:
            width = _probability(text)
            if width < 0:
                raise UsageError(f"--unsure {word} is no width from 0 to 1", "write --unsure 0.1")
    both = sorted(set(thresholds) & set(bands))
    if both:
        raise UsageError(f"{ATTRIBUTES[both[0]]} has both a --threshold and a band of --unsure", "leave one out")
    return Deciding(thresholds, width, bands)


def changed_thresholds(given: list[str] | None) -> dict[int, float]:
    """Index into ATTRIBUTES -> probability, of `--threshold NAME=P`; the last word on an attribute counts.

    Raises:
        UsageError: a name is unknown, or P is no probability.
    """
    changed: dict[int, float] = {}
    for word in words(given):
        name, _, text = word.partition("=")
        probability = _probability(text)
        if probability < 0:
            raise UsageError(f"--threshold {word} is not NAME=P with P from 0 to 1", "write --threshold Smiling=0.7")
        changed |= dict.fromkeys(attribute_indices([name]), probability)
    return changed


def _band(text: str, word: str) -> tuple[float, float]:
    low, high = (_probability(side) for side in (*text.split("..", 1), "")[:2])
    if not 0 <= low <= high:
        raise UsageError(
            f"--unsure {word} is not NAME=LOW..HIGH with 0 <= LOW <= HIGH <= 1", "write --unsure Smiling=0.4..0.6"
        )
    return low, high


def _probability(text: str) -> float:
    """-1 for what is none."""
    try:
        probability = float(text)
    except ValueError:
        return -1.0
    return probability if 0 <= probability <= 1 else -1.0
