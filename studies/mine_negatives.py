"""Where a model sees a face in pictures without people: the hard negatives of the centre network's training.

    python studies/mine_negatives.py find --data data --model fast --out candidates.csv
    python studies/mine_negatives.py show --data data --candidates candidates.csv --out sheets
    python studies/mine_negatives.py keep --candidates candidates.csv --out data/negatives.csv
    python studies/mine_negatives.py count --data data --candidates data/negatives.csv --models fast models/new

`find` looks at the pictures that scenes are made of and writes every place with a score. `show` makes
contact sheets of them, each place under its number. Whoever looks at these names the pictures that do show a face (a
person's, a painted one, a doll's) in faces_in_scenes.csv beside this file. `keep` leaves these out and writes what
`[center_net] negatives` reads; with `--found` also those in which another detector sees a face, which spares the eyes
most of the work. `count` says, by kind of picture, in how many of the places a model still sees a face.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.columns import read_rows
from facetag.datasets.negatives import FACE, load_negatives
from facetag.evaluate.peers import load_detections
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.resample import Image
from facetag.localization.center_localizer import CenterLocalizer
from facetag.predictor import FaceTagger
from facetag.training.data import DataFolder

HERE = Path(__file__).resolve().parent
LEAST = 0.12  #: score of a candidate
SEEN = 0.3  #: score of another detector's face
BATCH, CELL, COLUMNS, PER_SHEET = 64, 76, 20, 360
COLUMNS_OF_FILE = ("file", "x", "y", "width", "height", "score", "kind")

Row = dict[str, str]


def kind_of(name: str) -> str:
    """A picture's class where its set has classes, else its set: the folder that it lies in."""
    return Path(name).parent.name


def localizer_of(model: str) -> CenterLocalizer:
    found = FaceTagger(model, device="cpu").localizer
    assert isinstance(found, CenterLocalizer)
    return found


def batches(names: Sequence[str], folder: Path) -> Iterator[tuple[Sequence[str], list[Image]]]:
    for start in range(0, len(names), BATCH):
        some = names[start : start + BATCH]
        yield some, [read_image(str(folder / name)).pixels for name in some]
        print(f"{start + len(some)}/{len(names)}", end="\r", flush=True)


def find(data: Path, model: str, out: Path) -> None:
    """Write every place with a score of at least LEAST in the pictures that serve as scenes."""
    names = [str(Path(path).relative_to(data)) for group in DataFolder(data).backgrounds() for path in group]
    localizer = localizer_of(model)
    with out.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS_OF_FILE)
        for some, images in batches(names, data):
            for name, faces in zip(some, localizer.faces(images, LEAST), strict=True):
                for face in faces:
                    sides = (face.box.x, face.box.y, face.box.width, face.box.height)
                    writer.writerow([name, *(f"{side:.1f}" for side in sides), f"{face.score:.3f}", kind_of(name)])


def candidates(file: Path) -> list[Row]:
    """The rows, by kind, the highest score first: their numbers on the sheets are their places here."""
    rows = [row for _, row in read_rows(file, COLUMNS_OF_FILE[1:])]
    return sorted(rows, key=lambda row: (row["kind"], -float(row["score"])))


def box_of(row: Row) -> Box:
    return Box(*(float(row[name]) for name in ("x", "y", "width", "height")))


def cell(image: Image, place: Box, text: str) -> Image:
    """The picture around a place, with a line of text below."""
    factor = CELL / (1.7 * max(place.width, place.height))
    x, y = (CELL / 2 - factor * value for value in place.center)
    matrix = np.array([[factor, 0, x], [0, factor, y]])
    shown = cv2.warpAffine(image, matrix, (CELL, CELL), flags=cv2.INTER_AREA, borderValue=(128, 0, 128))
    whole = np.vstack([shown, np.zeros((12, CELL, 3), np.uint8)]).astype(np.uint8)
    cv2.putText(whole, text, (1, CELL + 10), cv2.FONT_HERSHEY_PLAIN, 0.75, (255, 255, 255), 1)
    return whole


def show(data: Path, file: Path, out: Path) -> None:
    """Contact sheets of the candidates as PNG files in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    rows = candidates(file)
    for start in range(0, len(rows), PER_SHEET):
        cells = []
        for number, row in enumerate(rows[start : start + PER_SHEET], start):
            image = read_image(str(data / row["file"])).pixels
            cells.append(cell(image, box_of(row), f"{number} {float(row['score']):.2f}"))
        cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
        lines = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
        cv2.imwrite(str(out / f"{start}.png"), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR))


def keep(file: Path, faces: Path, out: Path, found: Path | None = None) -> None:
    """The candidates of pictures without a face, and a row of the kind `face` for each of the others.

    Args:
        found: what another detector answers to the candidates' pictures, a CSV as of `benchmarks/peer_boxes.py`; those
            in which it sees a face of SEEN or more are left out as well.
    """
    shown = {row["file"] for _, row in read_rows(faces, ())}
    if found is not None:
        shown |= {name for name, others in load_detections(found).items() if any(one.score >= SEEN for one in others)}
    rows = [row for row in candidates(file) if row["file"] not in shown]
    with out.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        writer = csv.DictWriter(stream, COLUMNS_OF_FILE, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        writer.writerows({"file": name, "kind": FACE} for name in sorted(shown))
    print(f"{len(rows)} places; {len(shown)} pictures with a face left out")


def count(data: Path, file: Path, models: Sequence[str]) -> None:
    """A table: kinds, their places, and in how many of these each model sees a face at its score (IoU 0.3)."""
    negatives = load_negatives(file)
    names = [name for name in load_boxes_csv(file) if file.parent / name not in negatives.with_faces]
    places = load_boxes_csv(file)
    totals = Counter(dict.fromkeys(map(kind_of, names), 0))
    for name in names:
        totals[kind_of(name)] += len(places[name])
    seen = {model: Counter[str]() for model in models}
    for model in models:
        localizer = localizer_of(model)
        for some, images in batches(names, data):
            for name, faces in zip(some, localizer(images), strict=True):
                hits = sum(any(face.box.iou(place) >= 0.3 for face in faces) for place in places[name])
                seen[model][kind_of(name)] += hits
    print("kind", "places", *models, sep="\t")
    for kind, total in totals.most_common():
        print(kind, total, *(seen[model][kind] for model in models), sep="\t")
    print("all", totals.total(), *(seen[model].total() for model in models), sep="\t")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("find", "show", "keep", "count"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--model", default="fast")
    parser.add_argument("--models", nargs="+", default=["fast"])
    parser.add_argument("--candidates", type=Path, default=Path("candidates.csv"))
    parser.add_argument("--faces", type=Path, default=HERE / "faces_in_scenes.csv")
    parser.add_argument("--found", type=Path, help="another detector's boxes of the candidates' pictures")
    parser.add_argument("--out", type=Path, default=Path("candidates.csv"))
    asked = parser.parse_args()
    if asked.what == "find":
        find(asked.data, asked.model, asked.out)
    elif asked.what == "show":
        show(asked.data, asked.candidates, asked.out)
    elif asked.what == "keep":
        keep(asked.candidates, asked.faces, asked.out, asked.found)
    else:
        count(asked.data, asked.candidates, asked.models)


if __name__ == "__main__":
    main()
