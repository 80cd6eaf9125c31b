"""`facetag eval attributes --lfwa DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from facetag.cli.commands.measuring import about, answer, cascade_of, check_outputs, progress

Lfwa = Annotated[
    Path | None,
    typer.Option(help="LFWA in place of CelebA: its folder. Nets stay, SVMs learn from its training half."),
]
Plus = Annotated[bool, typer.Option("--lfwa-plus", help="Of LFWA's folder, the 73 attributes of LFWA+.")]


def attributes_of_lfwa(
    folder: Path, plus: bool, model: str | None, device: str, json: Path | None, quiet: bool
) -> None:
    """Measure a model's features on LFWA's test half.

    Raises:
        DataError: the folder is not LFWA's, or one of its halves is empty.
    """
    from facetag.datasets.lfwa import load_lfwa, load_lfwa_plus
    from facetag.evaluate.lfwa import lfwa_json, lfwa_tables, measure_lfwa

    check_outputs(json)
    data = (load_lfwa_plus if plus else load_lfwa)(folder)
    loaded, localizer, tagger = cascade_of(model, device)
    measured = measure_lfwa(data, localizer.dominant, tagger, progress("images", quiet))
    facts = {**about(loaded), "data": "LFWA+" if plus else "LFWA"}
    answer(json, facts, lfwa_json(measured), lfwa_tables(measured))
