"""What the commands of `facetag eval` share: what they measure, where their figures go."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facetag.cli.console import say
from facetag.cli.options import Faces
from facetag.errors import UsageError, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facetag.datasets.celeba import CelebA
    from facetag.evaluate.attributes import Partition
    from facetag.evaluate.report import Table
    from facetag.localization.base import Localizer
    from facetag.model import Model
    from facetag.tagger import Tagger


def celeba_part(data: Path, partition: "Partition", limit: int | None) -> "tuple[NDArray[np.float64], CelebA]":
    """Shares of the training partition's attributes, and this partition, or so many of its pictures."""
    from facetag.datasets.celeba import load_celeba
    from facetag.evaluate.attributes import PARTITIONS, training_fractions
    from facetag.evaluate.image_batches import evenly

    celeba = load_celeba(data / "celeba" if (data / "celeba").is_dir() else data)
    part = celeba.subset(PARTITIONS[partition])
    mask = part.partition < 0
    mask[evenly(len(part), limit)] = True
    return training_fractions(celeba), part.select(mask)


def cascade_of(
    model: str | None, device: str, precision: str = "float32", faces: Faces = "all"
) -> "tuple[Model, Localizer, Tagger]":
    """A model with what finds faces and what tags them, as they are in `facetag predict`."""
    from facetag.model_folder import DEFAULT
    from facetag.predictor import FaceTagger

    tagger = FaceTagger(model or DEFAULT, device=device, precision=precision, faces=faces)
    assert tagger.localizer and tagger.tagger
    return tagger.model, tagger.localizer, tagger.tagger


def localizer_of_run(run: Path, recipe: str, device: str) -> "tuple[Localizer, bool]":
    """The LNets or the centre network of a training run, and whether there is no LNet_s yet."""
    from facetag.networks.execution.device import torch_device
    from facetag.training.recipe import load_recipe
    from facetag.training.trained import has_stage, head_region_localizer, trained_face_localizer

    loaded, chosen_device = load_recipe(recipe), torch_device(device)
    if loaded.localizer_kind == "center_net" or has_stage(run, "lnet_s"):
        return trained_face_localizer(run, loaded, chosen_device), False
    return head_region_localizer(run, loaded, chosen_device), True


def check_outputs(json: Path | None, sheet: Path | None = None, images: Path | None = None) -> None:
    """See before a long run that its files can be written after it, and replace none of the photographs.

    Raises:
        UsageError: one cannot.
    """
    from facetag.evaluate.sheet import check_sheet
    from facetag.formats.destination import refuse_to_replace

    for path in filter(None, (json, sheet)):
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent} is not a folder", "make it, or name another file")
    if json:
        refuse_to_replace(str(json))
    if sheet and images:
        check_sheet(sheet, images)


def about(model: "Model") -> dict[str, Any]:
    """What says which model was measured."""
    return {"model": model.name, "fingerprint": model.fingerprint}


def answer(json: Path | None, facts: dict[str, Any], figures: dict[str, Any], tables: "Sequence[Table]") -> None:
    """Tables on standard output and JSON in a file, or JSON alone on standard output."""
    from facetag.evaluate.report import plain_text, to_json

    if json:
        write_text(json, to_json({**facts, **figures}))
    if str(json) == "-":
        return
    print(", ".join(f"{name} {value}" for name, value in facts.items() if name != "fingerprint"))
    for table in tables:
        if sys.stdout.isatty():
            _print_rich(table)
        else:
            print(f"\n{plain_text(table)}")


def write_text(path: Path, text: str) -> None:
    """Into a file, or on standard output for `-`."""
    if str(path) == "-":
        print(text)
    else:
        with writing(path):
            path.write_text(text + "\n", encoding="utf-8")


def _print_rich(table: "Table") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    drawn = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*row, style="bold" if row[0] == "mean" else None)
    Console().print(drawn)


def progress(what: str, quiet: bool) -> Callable[[int, int], None]:
    """A line on standard error now and then."""
    started = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if not quiet and (now - last >= 5 or done == total):
            last = now
            say(f"{done}/{total} {what}, {done / max(now - started, 1e-9):.1f}/s")

    return report


def _card(model: str | None) -> Path:
    from facetag.model_folder import DEFAULT, find_model

    return find_model(model or DEFAULT) / "CARD.md"


def check_card(model: str | None, limit: int | None, precision: str) -> None:
    """See before a long run that the model's CARD.md can take its figures, and that they are of all pictures and of the
    model as it is.

    Raises:
        UsageError: they are not.
        FacetagError: the card is missing, has no measured section, or cannot be written.
    """
    from facetag.evaluate.card import read_card

    if limit is not None:
        raise UsageError("--card holds figures of a whole partition", "leave out --limit, or --card")
    if precision != "float32":
        raise UsageError("--card holds figures of a model in float32", "leave out --precision, or --card")
    read_card(_card(model))


def write_card(model: str | None, command: str, tables: "list[Table]") -> None:
    """Replace the measured section of the model's CARD.md."""
    from facetag.evaluate.card import read_card, with_measurements

    path = _card(model)
    measured = with_measurements(read_card(path), command, tables)
    with writing(path):
        path.write_text(measured, encoding="utf-8")
    say(f"{path} now holds these figures")
