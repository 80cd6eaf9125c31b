"""UTKFace: tight aligned chips of 200 x 200 pixels, faces of all ages, to teach and measure Male and Young.

A file's name says whom it shows: AGE_SEX_RACE_time.jpg, age in years, sex 0 (male) or 1 (female), race 0 to 4. These
are estimates that annotators checked. Files whose names say less are left out and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.datasets.folders import image_names
from facetag.datasets.webfaces import content_digest
from facetag.errors import DataError
from facetag.geometry import Box

Use = Literal["train", "calibrate", "test"]

CHIP_SIZE = 200  #: pixels
RACES = ("White", "Black", "Asian", "Indian", "other")
OLDEST = 116  #: years; a name that says more is malformed

#: The face in a chip by the convention of ALIGNED_FACE: `python studies/utkface_box.py --data data` finds it.
CHIP_FACE = Box(7, -18, 182, 229)


@dataclass(frozen=True)
class Person:
    """One chip.

    Attributes:
        age: years.
        male: the sex that the name says.
        race: index into RACES.
        use: `use_of` the file's content.
    """

    path: Path
    age: int
    male: bool
    race: int
    use: Use


@dataclass(frozen=True)
class UTKFace:
    """Distinct chips, sorted by name, and what was left out.

    Attributes:
        malformed: image files whose names are not AGE_SEX_RACE_time.
        duplicates: files with the very bytes of an earlier one.
    """

    people: list[Person]
    malformed: int
    duplicates: int

    def of_use(self, use: Use) -> list[Person]:
        """Those to train, to calibrate or to test on."""
        return [person for person in self.people if person.use == use]

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        uses = Counter(person.use for person in self.people)
        return [
            f"{len(self.people)} faces: " + ", ".join(f"{uses[use]} to {use}" for use in get_args(Use)),
            f"left out: {self.malformed} with malformed names, {self.duplicates} duplicates",
        ]


def load_utkface(root: Path) -> UTKFace:
    """The chips directly in root.

    Raises:
        DataError: there is none whose name says age, sex and race, or one cannot be read.
    """
    names = image_names(root)
    people: list[Person] = []
    seen: set[bytes] = set()
    labels = {name: said for name in names if (said := labels_of(name))}
    for name, (age, male, race) in labels.items():
        digest = content_digest(root / name)
        if digest not in seen:
            seen.add(digest)
            people.append(Person(root / name, age, male, race, use_of(digest)))
    if not people:
        raise DataError(f"{root} has no image called AGE_SEX_RACE_time", "put the aligned faces of UTKFace there")
    return UTKFace(people, len(names) - len(labels), len(labels) - len(people))


def labels_of(name: str) -> tuple[int, bool, int] | None:
    """Age, whether male, and race, as the name of a file says; None when it does not say all three.

    >>> labels_of("26_1_2_20170104.jpg")
    (26, False, 2)
    >>> labels_of("61_1_20170109142408075.jpg") is None
    True
    """
    fields = name.split("_")
    if len(fields) != 4 or not all(field.isascii() and field.isdigit() for field in fields[:3]):
        return None
    age, sex, race = (int(field) for field in fields[:3])
    return (age, sex == 0, race) if age <= OLDEST and sex < 2 and race < len(RACES) else None


def use_of(digest: bytes) -> Use:
    """What a face is for, by the SHA-256 of its file: of ten, seven train, one calibrates and two test."""
    number = int.from_bytes(digest[:4], "big") % 10
    return "train" if number < 7 else "calibrate" if number < 8 else "test"


def attribute_labels(people: Sequence[Person], young_below: float) -> NDArray[np.int8]:
    """Male and Young as CelebA has them, (N, 40): 1 present, 0 absent, -1 unknown, which all others are.

    Args:
        young_below: age in years from which on nobody is Young.
    """
    labels = np.full((len(people), len(ATTRIBUTES)), -1, np.int8)
    labels[:, ATTRIBUTES.index("Male")] = [person.male for person in people]
    labels[:, ATTRIBUTES.index("Young")] = [person.age < young_below for person in people]
    return labels
