"""Male and Young by age and sex, on faces of UTKFace whose sex and age no training was told.

python benchmarks/people.py --data data --model fast
python benchmarks/people.py --data data --model fast --cascade
python benchmarks/people.py --data data --model fast --use train --young

Images end at the face, so the box is UTKFace's constant one; with --cascade the model finds the face itself, and a face
that it misses counts as wrong. --young says at which age the model's Young crosses a half.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from facetag.attributes import ATTRIBUTES
from facetag.datasets.utkface import CHIP_FACE, RACES, Person, load_utkface
from facetag.geometry import Box
from facetag.images.resample import Image
from facetag.predictor import FaceTagger
from facetag.training.examples import read_rgb

MALE, YOUNG = ATTRIBUTES.index("Male"), ATTRIBUTES.index("Young")
BANDS = (0, 5, 10, 20, 30, 40, 50, 60, 70, 117)  #: years


class Answers:
    """What a model says of people: probabilities (N, 2) and decisions (N, 2) of Male and Young; nan where it found no
    face."""

    def __init__(self, name: str, cascade: bool) -> None:
        face_tagger = FaceTagger(name, device="cpu")
        self.tagger = face_tagger.tagger
        self.localizer = face_tagger.localizer if cascade else None
        self.thresholds = face_tagger.model.thresholds[[MALE, YOUNG]]

    def __call__(self, people: Sequence[Person]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        probabilities = np.full((len(people), 2), np.nan)
        for start in range(0, len(people), 64):
            images = [read_rgb(str(person.path)) for person in people[start : start + 64]]
            for row, found in self._batch(images):
                probabilities[start + row] = found
        return probabilities, probabilities >= self.thresholds

    def _batch(self, images: list[Image]) -> list[tuple[int, NDArray[np.float64]]]:
        boxes = self._boxes(images)
        rows = [row for row, box in enumerate(boxes) if box is not None]
        regions = [self.tagger.region(images[row], box) for row in rows if (box := boxes[row]) is not None]
        answers = self.tagger(regions).probabilities[:, [MALE, YOUNG]] if rows else []
        return list(zip(rows, answers, strict=True))

    def _boxes(self, images: list[Image]) -> list[Box | None]:
        if self.localizer is None:
            return [CHIP_FACE] * len(images)
        return [found[0].box if found else None for found in self.localizer.dominant(images)]


def percent(right: NDArray[np.bool_]) -> str:
    """The mean and how many, or a dash."""
    return f"{100 * right.mean():.0f} ({len(right)})" if len(right) else "-"


def by_age(people: Sequence[Person], probabilities: NDArray[np.float64], present: NDArray[np.bool_]) -> list[str]:
    """A table: Male right by sex, and how many are Young, a row an age band."""
    age, male = np.array([p.age for p in people]), np.array([p.male for p in people])
    right = ~np.isnan(probabilities[:, 0]) & (present[:, 0] == male)
    lines = ["| age | male faces right | female faces right | Young |", "|---|---|---|---|"]
    for low, high in [*pairwise(BANDS), (0, 10), (20, 60), (60, 117)]:
        band = (age >= low) & (age < high)
        young = present[band & ~np.isnan(probabilities[:, 1]), 1]
        cells = (percent(right[band & male]), percent(right[band & ~male]), percent(young))
        lines.append(f"| {low} to {high - 1} | {' | '.join(cells)} |")
    return lines


def by_race(people: Sequence[Person], probabilities: NDArray[np.float64], present: NDArray[np.bool_]) -> list[str]:
    """A table: Male right by sex from 20 to 59 years, a row a group."""
    adult = np.array([20 <= p.age < 60 for p in people])
    male, race = np.array([p.male for p in people]), np.array([p.race for p in people])
    right = ~np.isnan(probabilities[:, 0]) & (present[:, 0] == male)
    lines = ["| group, 20 to 59 years | male faces right | female faces right |", "|---|---|---|"]
    for number, name in enumerate(RACES):
        chosen = adult & (race == number)
        lines.append(f"| {name} | {percent(right[chosen & male])} | {percent(right[chosen & ~male])} |")
    return lines


def crossing(age: NDArray[np.float64], young: NDArray[np.bool_]) -> float:
    """The age at which a logistic curve of Young over the logarithm of age is at a half."""
    curve = LogisticRegression(C=1e6).fit(np.log(age)[:, None], young)
    return float(np.exp(-curve.intercept_[0] / curve.coef_[0, 0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="holds utkface/")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--use", choices=("train", "calibrate", "test"), default="test")
    parser.add_argument("--limit", type=int, default=0, help="so many, spread over all")
    parser.add_argument("--cascade", action="store_true", help="the model finds the faces")
    parser.add_argument("--young", action="store_true", help="say where Young crosses a half, of adults")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    people = load_utkface(asked.data / "utkface").of_use(asked.use)
    people = people[:: max(len(people) // asked.limit, 1)] if asked.limit else people
    probabilities, present = Answers(asked.model, asked.cascade)(people)
    print(f"{len(people)} faces, {int(np.isnan(probabilities[:, 0]).sum())} not found")
    print("\n".join(by_age(people, probabilities, present) + by_race(people, probabilities, present)))
    if asked.young:
        adult = np.array([person.age >= 20 for person in people])
        age = np.array([person.age for person in people], np.float64)
        print(f"Young crosses a half at {crossing(age[adult], present[adult, 1]):.1f} years")


if __name__ == "__main__":
    main()
