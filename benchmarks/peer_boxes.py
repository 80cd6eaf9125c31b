"""A peer's boxes of a folder of photographs as a CSV, for `facetag eval peers` and PANDA-w.

    python benchmarks/peer_boxes.py --environments ~/rivals --peer "Haar alt2" --images data/webfaces --out haar.csv

Columns are file, x, y, width, height, score; a photograph without a box has a row with empty fields. The peer runs in
an environment of its own, as in localization.py. A file that stands in --out already is not asked again, so a run that
was stopped goes on.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parent))

from environments import python_of
from localization import RIVALS, Detector, Worker, save

from facetag.errors import FacetagError
from facetag.evaluate.image_batches import read_batches
from facetag.localization.base import Detection

COLUMNS = ("file", "x", "y", "width", "height", "score")
SUFFIXES = (".jpg", ".jpeg", ".png")


def rows_of(name: str, found: Sequence[Detection]) -> Iterator[tuple[str, ...]]:
    """The CSV's rows of one photograph; one with empty fields where nothing was found."""
    for face in found:
        box = face.box
        numbers = (box.x, box.y, box.width, box.height, face.score)
        yield (name, *(f"{number:g}" for number in numbers))
    if not found:
        yield (name, *([""] * (len(COLUMNS) - 1)))


def write_boxes(folder: Path, names: Sequence[str], detect: Detector, stream: TextIO) -> None:
    """Append the boxes of these files of a folder.

    Raises:
        DataError: a photograph cannot be read.
    """
    writer, done = csv.writer(stream), 0
    with TemporaryDirectory() as scratch:
        for photos in read_batches([folder / name for name in names], workers=1):
            images = [photo.pixels for photo in photos]
            found, _ = detect(images, save(images, Path(scratch)))
            for name, faces in zip(names[done : done + len(photos)], found, strict=True):
                writer.writerows(rows_of(name, faces))
            done += len(photos)
            print(f"{done}/{len(names)} photographs", file=sys.stderr, end="\r", flush=True)


def names_in(folder: Path, only: Path | None) -> list[str]:
    """The photographs to look at: those that a list names, a line each, or all of the folder."""
    if only is not None:
        return only.read_text(encoding="utf-8").split()
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def answered(out: Path) -> set[str]:
    """The photographs that have rows."""
    if not out.is_file():
        return set()
    with out.open(encoding="utf-8", newline="") as stream:
        return {row["file"] for row in csv.DictReader(stream)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--environments", type=Path, required=True, help="folder of the peers' environments")
    parser.add_argument("--peer", choices=tuple(RIVALS), default="Haar alt2", help="which peer")
    parser.add_argument("--least", type=int, help="least side of a Haar box in pixels, where faces' size is known")
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--only", type=Path, help="a list of files in it, a line each")
    parser.add_argument("--out", type=Path, required=True, help="the CSV")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    peer, known = RIVALS[asked.peer], answered(asked.out)
    names = [name for name in names_in(asked.images, asked.only) if name not in known]
    if asked.least is not None and peer.script != "haar.py":
        raise FacetagError(f"{asked.peer} takes no --least", "leave it out; it is of Haar cascades alone")
    word = peer.word() if asked.least is None else f"{peer.variant}:{asked.least}"
    script = Path(__file__).parent / "rivals" / peer.script
    with (
        Worker(python_of(peer.environment, asked.environments), script, word) as worker,
        asked.out.open("a", encoding="utf-8", newline="") as stream,
    ):
        if not known:
            csv.writer(stream).writerow(COLUMNS)
        write_boxes(asked.images, names, worker, stream)


if __name__ == "__main__":
    try:
        main()
    except FacetagError as error:
        sys.exit(f"error: {error}")
