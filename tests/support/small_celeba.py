"""A CelebA of the tests' own in which a few attributes can be told: what it paints on grey noise is their label."""

from pathlib import Path

import cv2
import numpy as np

from facetag.attributes import ATTRIBUTES

SMILING, BLOND, MALE = (ATTRIBUTES.index(name) for name in ("Smiling", "Blond_Hair", "Male"))


def write_celeba(root: Path, counts: tuple[int, int, int], each: int = 3) -> Path:
    """Aligned images of three partitions, so many of each and `each` of a person.

    Smiling is a bright bar where the mouth is, Blond_Hair a yellow band where hair is; all else is chance.
    """
    rng = np.random.default_rng(0)
    (root / "img_align_celeba").mkdir(parents=True)
    partition = np.repeat([0, 1, 2], counts)
    labels = rng.integers(0, 2, (len(partition), len(ATTRIBUTES)))
    names = [f"{number:06d}.png" for number in range(1, len(partition) + 1)]
    rows = [" ".join([name, *(str(2 * v - 1) for v in row)]) for name, row in zip(names, labels, strict=True)]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(len(names)), " ".join(ATTRIBUTES), *rows]) + "\n")
    (root / "list_eval_partition.txt").write_text("".join(f"{n} {p}\n" for n, p in zip(names, partition, strict=True)))
    persons = [
        f"{name} {1000 * part + index // each}\n"
        for index, (name, part) in enumerate(zip(names, partition, strict=True))
    ]
    (root / "identity_CelebA.txt").write_text("".join(persons))
    for name, row in zip(names, labels, strict=True):
        cv2.imwrite(str(root / "img_align_celeba" / name), _painted(row, rng))
    return root


def _painted(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """BGR, 218 rows."""
    image = cv2.resize(rng.integers(90, 150, (12, 10, 3), np.uint8), (178, 218))
    if row[SMILING]:
        image[145:158, 66:112] = 250
    if row[BLOND]:
        image[24:70, 40:140] = (40, 210, 240)
    return image
