"""What `predict` writes for each image besides its answer: a sidecar next to it, crops of its faces."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from facetag.cli.console import say, warn
from facetag.errors import ExitCode
from facetag.formats.path_encoding import one_line

if TYPE_CHECKING:
    from facetag.formats.xmp.sidecar import Sidecars
    from facetag.images.crops import Crops
    from facetag.results import ImageResult


class Companions:
    """Told of each record, it writes what was asked for; what goes wrong is said of that image, and the run goes on."""

    def __init__(
        self,
        sidecar: Literal["xmp", "xmp-stem"] | None,
        crop_dir: Path | None,
        open_as: Callable[[str], str],
    ) -> None:
        """`open_as` says where the image of a record's path lies."""
        self._parts = list(_parts(sidecar, crop_dir, open_as))

    def __call__(self, record: "ImageResult") -> None:
        for part in self._parts:
            part(record)

    def conclude(self, code: ExitCode, fail_on: str) -> ExitCode:
        """Say how many were written; OK becomes SOME_FAILED when some were not and `fail_on` is any."""
        for part in self._parts:
            failed = f", {part.refused} not written" if part.refused else ""
            noun = part.noun if part.written != 1 else part.noun.removesuffix("s")
            say(f"{part.written} {noun}{failed}", **{part.noun: part.written, "refused": part.refused})
        spoilt = any(part.refused for part in self._parts) and fail_on == "any"
        return ExitCode.SOME_FAILED if spoilt and code == ExitCode.OK else code


def _parts(
    sidecar: Literal["xmp", "xmp-stem"] | None, crop_dir: Path | None, open_as: Callable[[str], str]
) -> "Iterator[Sidecars | Crops]":
    def complain_of(line: str) -> None:
        warn(one_line(line))

    if sidecar:
        from facetag.formats.xmp.sidecar import Sidecars

        yield Sidecars(sidecar, open_as, complain_of)
    if crop_dir:
        from facetag.images.crops import Crops

        yield Crops(crop_dir, open_as, complain_of)
