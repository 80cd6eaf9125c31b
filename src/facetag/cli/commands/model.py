"""`facetag model list|info|verify`: what is shipped, what it is worth, whether it is whole."""

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from facetag.cli import completion
from facetag.cli.app import App
from facetag.errors import ModelError, visible

_HELP = """List, describe and verify models.

\b
Examples:
  facetag model list
  facetag model info faithful
"""

app = App(no_args_is_help=True, help=_HELP)

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|DIR",
        help="A shipped model, or a model folder; else the default.",
        autocompletion=completion.models,
    ),
]


@app.command("list")
def list_models() -> None:
    """Names of the models that came with facetag, one a line.

    \b
    Example:
      facetag model list
    """
    from facetag.model_folder import shipped_models

    for name in shipped_models():
        print(name)


@app.command()
def info(name: Name = None) -> None:
    """Key facts of a model, then its card: data, licences, accuracy, limits, what it must not be used for.

    \b
    Examples:
      facetag model info
      facetag model info models/faithful
    """
    from facetag.model_folder import DEFAULT, attributes_of, find_model, read_description

    folder = find_model(name or DEFAULT)
    description = read_description(folder)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors") if path.is_file())
    print(f"name: {description['name']}")
    print(f"folder: {folder}")
    print(f"weights: {size / 1e6:.1f} MB")
    print(f"attributes: {len(attributes_of(description)[0])}")
    print(f"digest: {hashlib.sha256((folder / 'model.json').read_bytes()).hexdigest()}")
    for part in ("localizer", "tagger"):
        print(f"{part}: {json.dumps(description.get(part))}")
    print()
    print(_card(folder / "CARD.md"), end="")


@app.command()
def verify(name: Name = None) -> None:
    """Compare a model's weights with the checksums that it was saved with, and load it.

    \b
    Examples:
      facetag model verify
      facetag model verify models/faithful
    """
    from facetag.model_folder import DEFAULT
    from facetag.predictor import FaceTagger

    loaded = FaceTagger(name or DEFAULT, device="cpu").model
    print(f"{loaded.name}: whole, digest {loaded.fingerprint}")


def _card(path: Path) -> str:
    from facetag.model_folder import read_whole

    try:
        lines = read_whole(path).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}", "install facetag again") from error
    return "".join(f"{visible(line)}\n" for line in lines)  # a stranger's card is not to steer the terminal
