"""Which attributes `predict` answers, and from which probability each is present: what its options mean."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from facetag.attributes import attribute_indices
from facetag.cli.options import Options, names_in
from facetag.errors import UsageError

Names = Callable[[list[str]], list[str]]  #: names and groups -> the model's attributes that they mean


@dataclass(frozen=True)
class Decisions:
    """What the command line changes in a model's decisions; as a FaceTagger takes it.

    Attributes:
        attributes: those written; None = all.
        stored: those that the journal keeps, so that others may be written later; None = all.
        thresholds: attribute -> probability from which it is present.
        unsure: of every other attribute, the probabilities this near to its threshold are unsure.
        unsure_bands: attribute -> unsure from the first up to below the second, present from there.
    """

    attributes: Sequence[str] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    unsure: float = 0.0
    unsure_bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    stored: Sequence[str] | None = None


def decisions_of(options: Options) -> Decisions:
    """The Decisions of --attributes, --exclude-attributes, --threshold and --unsure by the names of the model.

    Raises:
        ModelError: there is no such model.
        UsageError: a name is unknown, no attribute is left, a number is no probability, or one attribute has a
            threshold and a band.
    """
    from facetag.model_folder import DEFAULT, attributes_of, find_model, read_description

    known = attributes_of(read_description(find_model(options.model or DEFAULT)))

    def names(given: list[str]) -> list[str]:
        return [known[0][index] for index in attribute_indices(given, *known)]

    chosen = chosen_attributes(options.attributes, options.exclude_attributes, known[0], names)
    thresholds = changed_thresholds(options.threshold, names)
    stored = chosen_attributes(None, options.exclude_attributes, known[0], names)
    return Decisions(chosen, thresholds, *unsure_bands(options.unsure, thresholds, names), stored=stored)


def chosen_attributes(
    only: list[str] | None, without: list[str] | None, every: Sequence[str], names: Names
) -> list[str]:
    """The attributes of --attributes, or else every one, less --exclude-attributes.

    Raises:
        UsageError: a name is unknown, or none is left.
    """
    chosen_names, excluded = names_in(only) or [*every], names(names_in(without))
    chosen = [name for name in names(chosen_names) if name not in excluded]
    if not chosen:
        raise UsageError("no attribute is left", "exclude fewer, or use `facetag localize`")
    return chosen


def unsure_bands(
    unsure: list[str] | None, thresholds: Mapping[str, float], names: Names
) -> tuple[float, dict[str, tuple[float, float]]]:
    """The meaning of --unsure WIDTH or NAME=LOW..HIGH; the last word on an attribute counts.

    Raises:
        UsageError: a name is unknown, a number is no probability, or an attribute has one of the thresholds too.
    """
    width, bands = 0.0, dict[str, tuple[float, float]]()
    for word in names_in(unsure):
        name, named, text = word.rpartition("=")
        if named:
            bands |= dict.fromkeys(names([name]), _band(text, word))
        else:
            width = _probability(text)
            if width < 0:
                raise UsageError(f"--unsure {word} is no width from 0 to 1", "write --unsure 0.1")
    if both := [name for name in names([*thresholds]) if name in bands]:
        raise UsageError(f"{both[0]} has both a --threshold and a band of --unsure", "leave one out")
    return width, bands


def changed_thresholds(given: list[str] | None, names: Names) -> dict[str, float]:
    """Attribute -> probability, of `--threshold NAME=P`; the last word on an attribute counts.

    Raises:
        UsageError: a name is unknown, or P is no probability.
    """
    changed: dict[str, float] = {}
    for word in names_in(given):
        name, _, text = word.partition("=")
        probability = _probability(text)
        if probability < 0:
            raise UsageError(f"--threshold {word} is not NAME=P with P from 0 to 1", "write --threshold Smiling=0.7")
        changed |= dict.fromkeys(names([name]), probability)
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
