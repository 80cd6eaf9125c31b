"""What a shell offers for the values of options. Nothing heavy is loaded: a person waits at a prompt."""

from collections.abc import Iterable
from importlib import resources

from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.model_folder import shipped_models


def formats(incomplete: str) -> list[str]:
    """Of --format."""
    from facetag.formats.writers import WRITERS

    return _beginning(WRITERS, incomplete)


def models(incomplete: str) -> list[str]:
    """Of --model: those that are shipped; folders are the shell's own business."""
    return _beginning(shipped_models(), incomplete)


def recipes(incomplete: str) -> list[str]:
    """Of --recipe: those that are shipped."""
    shipped = resources.files("facetag").joinpath("recipes").iterdir()
    return _beginning(
        sorted(file.name.removesuffix(".toml") for file in shipped if file.name.endswith(".toml")), incomplete
    )


def devices(incomplete: str) -> list[str]:
    """Of --device."""
    return _beginning(("auto", "cpu", "cuda"), incomplete)


def budgets(incomplete: str) -> list[str]:
    """Of --fail-on."""
    return _beginning(("never", "any", "all", "5%"), incomplete)


def attributes(incomplete: str) -> list[str]:
    """Of --attributes: groups, then attributes, behind a comma too, whatever the case.

    >>> attributes("Male,smi"), attributes("hai")
    (['Male,Smiling'], ['hair'])
    """
    before, comma, word = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _beginning((*GROUPS, *ATTRIBUTES), word)]


def thresholds(incomplete: str) -> list[str]:
    """Of --threshold: a name, and what stands behind it.

    >>> thresholds("Smi")
    ['Smiling=0.5']
    """
    return [f"{name}=0.5" for name in attributes(incomplete)] if "=" not in incomplete else []


def bands(incomplete: str) -> list[str]:
    """Of --unsure: likewise.

    >>> bands("Smi")
    ['Smiling=0.4..0.6']
    """
    return [f"{name}=0.4..0.6" for name in attributes(incomplete)] if "=" not in incomplete else []


def _beginning(choices: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in choices if word.lower().startswith(incomplete.lower())]
