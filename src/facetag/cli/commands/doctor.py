"""`facetag doctor`: whether this installation can do its work."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from facetag.cli import options
from facetag.errors import ExitCode, FacetagError, UnsupportedImage, writing
from facetag.images.file_types import KINDS

Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder in which writing is tried.")]

#: extra -> the package that it brings
EXTRAS = {
    "heic": "pillow-heif", "parquet": "pyarrow", "lfwa": "h5py", "figures": "matplotlib", "watch": "watchfiles",
}  # fmt: skip

#: What a broken installation may raise where it is tried.
_BROKEN = (FacetagError, ImportError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Setup:
    """What is looked at: the words of the command line."""

    model: str | None
    device: str
    folder: Path


def doctor(model: options.ModelName = None, device: options.Device = "auto", out: Folder = Path()) -> None:
    """Look whether all is well: versions, device, decoders, the model's digests, writing. Exits with 1 when it is not.

    \b
    Examples:
      facetag doctor
      facetag doctor --device cuda --out /mnt/archive
    """
    setup = Setup(model, device, out)
    well = True
    for subject, check in CHECKS.items():
        try:
            for finding in check(setup):
                print(f"ok      {subject}: {finding}", flush=True)
        except _BROKEN as error:
            well = False
            print(f"broken  {subject}: {' '.join(str(error).split())}", flush=True)
    if not well:
        raise typer.Exit(ExitCode.FATAL)


def _versions(setup: Setup) -> Iterator[str]:
    from facetag.cluster.versions import versions

    yield ", ".join(f"{name} {version}" for name, version in versions().items())


def _extras(setup: Setup) -> Iterator[str]:
    from importlib import metadata

    for extra, package in EXTRAS.items():
        try:
            yield f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            yield f"{package} is not installed; pip install 'facetag[{extra}]' if you need it"


def _device(setup: Setup) -> Iterator[str]:
    import torch

    from facetag.networks.execution.device import device_name, torch_device

    device = torch_device(setup.device)
    twos = torch.full((8, 8), 2.0, device=device)
    if float((twos @ twos).sum()) != 8 * 8 * 8 * 4:
        raise FacetagError(f"{device} does not multiply", "use another device")
    yield f"{device_name(device)}, torch {torch.__version__}"


def _decoder(kind: str, setup: Setup) -> Iterator[str]:
    from facetag.images.selftest import try_kind

    try:
        try_kind(kind)
        yield "well"
    except UnsupportedImage as error:
        yield f"left out: {error}"


def _model(setup: Setup) -> Iterator[str]:
    from facetag.model import load_model
    from facetag.model_folder import DEFAULT

    loaded = load_model(setup.model or DEFAULT)
    yield f"{loaded.name}, whole, digest {loaded.fingerprint}"


def _writing(setup: Setup) -> Iterator[str]:
    from tempfile import TemporaryDirectory

    with writing(setup.folder), TemporaryDirectory(prefix=".facetag.", dir=setup.folder) as folder:
        _try_run(f"{folder}/tags.csv")
        limits = list(_limits(folder))
    yield f"files, locks and journals in {setup.folder.absolute()}"
    yield from limits


def _limits(folder: str) -> Iterator[str]:
    """Whether the file system syncs and locks; runs do without where it does not."""
    from facetag.formats.destination import sync_folder
    from facetag.runs.lock import knows_locks, knows_record_locks

    yield "fsync works" if sync_folder(folder) else "fsync is unknown there: a power cut may take the last file"
    with open(f"{folder}/lock", "wb") as stream:
        files, records = knows_locks(stream.fileno()), knows_record_locks(stream.fileno())
    yield "flock works" if files else "flock is unknown there: a lock file alone keeps other runs away"
    yield "fcntl works" if records else "fcntl is unknown there: our own lock guards the journal"


def _try_run(out: str) -> None:
    """Do with an output what a run does."""
    from facetag.formats.destination import open_output
    from facetag.runs.cache_key import CacheKey
    from facetag.runs.journal import ENDING, Journal
    from facetag.runs.lock import locked

    with locked(f"{out}.lock", out) as for_sqlite:
        with open_output(out) as stream:
            stream.write("path\r\n")
        with Journal(out + ENDING, CacheKey("predict", "no model"), locks=for_sqlite) as journal:
            journal.begin()
            journal.finish(0, "")


#: What is looked at, in order. A new check is a function here and a line there.
CHECKS: dict[str, Callable[[Setup], Iterator[str]]] = {
    "versions": _versions,
    "extras": _extras,
    "device": _device,
    **{f"{kind} images": partial(_decoder, kind) for kind in KINDS},
    "model": _model,
    "writing": _writing,
}
