"""Writes boxes.csv for photographs whose landmarks are known, by the one rule that WebFaces' boxes follow.

python benchmarks/landmark_boxes.py --landmarks helen-landmarks --images data/photographs/helen --out helen.csv
python benchmarks/landmark_boxes.py --landmarks ground_truth_landmarks.txt --images data/cmumit --out cmumit.csv
facetag eval localization --images data/photographs/helen --boxes helen.csv --half test

Landmarks are a folder of .pts files with 68 points (300-W: AFW, Helen), or a file of lines "name, x and y of the left
eye, right eye, nose, left, middle and right of the mouth" (CMU+MIT). In AFW a photograph NAME_1.jpg has its faces in
NAME_1.pts, NAME_2.pts and so on. The rule is `box_of_points` of facetag.datasets.webfaces.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.webfaces import box_of_points
from facetag.geometry import Box

Points = NDArray[np.float64]  #: (N, 2)
RIGHT_EYE, LEFT_EYE, MOUTH = slice(36, 42), slice(42, 48), slice(48, 68)  #: of 68 points, sides of the person


def read_points(path: Path) -> Points:
    """The points of a .pts file: (68, 2)."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return np.array([[float(x), float(y)] for x, y in (row for row in rows if len(row) == 2 and _is_number(row[0]))])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def faces_of_folder(folder: Path) -> Iterator[tuple[str, Box]]:
    """Stem of the .pts file, box."""
    for path in sorted(folder.rglob("*.pts")):
        points = read_points(path)
        eyes = points[RIGHT_EYE].mean(0), points[LEFT_EYE].mean(0)
        yield path.stem, box_of_points(*eyes, points[MOUTH].mean(0))


def faces_of_lines(file: Path) -> Iterator[tuple[str, Box]]:
    """Stem of the photograph, box."""
    for line in file.read_text().splitlines():
        name, *numbers = line.split()
        points = np.array(numbers, np.float64).reshape(6, 2)
        yield Path(name).stem, box_of_points(points[0], points[1], points[3:].mean(0))


def name_of(stem: str, images: dict[str, str]) -> str | None:
    """The photograph that a face lies in: of its own stem, or the only one that differs by the number behind it."""
    if stem in images:
        return images[stem]
    head = stem.rpartition("_")[0]
    alike = [name for other, name in images.items() if head and other.rpartition("_")[0] == head]
    return alike[0] if len(alike) == 1 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--landmarks", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    images = {path.stem: path.name for path in sorted(asked.images.iterdir())}
    faces = faces_of_folder(asked.landmarks) if asked.landmarks.is_dir() else faces_of_lines(asked.landmarks)
    found, lost = [], 0
    for stem, box in faces:
        name = name_of(stem, images)
        if name is None:
            lost += 1
        else:
            found.append([name, *(f"{value:.1f}" for value in (box.x, box.y, box.width, box.height))])
    with asked.out.open("w", newline="") as file:
        csv.writer(file).writerows([["file", "x", "y", "width", "height"], *found])
    print(f"{len(found)} faces of {len({row[0] for row in found})} photographs; {lost} without their photograph")


if __name__ == "__main__":
    main()
