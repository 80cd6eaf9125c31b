"""CelebA (paper, section 5): images, forty attributes, identities, the official split, boxes and landmarks.

The official tree is Img/, Anno/ and Eval/; everything directly under the root is read as well, and so are .csv copies.
Rows without an image are normal (few copies are whole): they are counted and left out.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.datasets.folders import image_names
from facetag.datasets.tables import Table, read_labels, read_numbers, whole_numbers
from facetag.errors import DataError

Variant = Literal["aligned", "wild"]

_IMAGE_FOLDER: dict[Variant, str] = {"aligned": "img_align_celeba", "wild": "img_celeba"}
_LANDMARKS: dict[Variant, str] = {"aligned": "list_landmarks_align_celeba", "wild": "list_landmarks_celeba"}
_LARGEST_IDENTITY = 2**31 - 1


@dataclass(frozen=True)
class CelebaReport:
    """What was found.

    Attributes:
        rows: of the attribute file.
        images: rows that have their image; the length of every array of the data set.
        missing: rows without an image.
        unlabelled: images without a row.
        zero_boxes: boxes of these images without width or height, None when there is no box file.
    """

    rows: int
    images: int
    missing: int
    unlabelled: int
    zero_boxes: int | None


@dataclass(frozen=True)
class CelebA:
    """N images and what is known of each.

    Attributes:
        paths: N image files.
        attributes: (N, 40) int8 in {0, 1}, columns in the order of ATTRIBUTES.
        partition: (N,) 0 to train nets, 1 to train SVMs, 2 to test (official split, no identity in two).
        identity_ids: (N,) identities as the file numbers them, None when there is no such file (Kaggle has none).
        boxes: (N, 4) x y width height in pixels of the in-the-wild image, nan where the file's box is empty; or None.
        landmarks: (N, 10) x y of left eye, right eye, nose, left and right corner of the mouth (left of the image),
            pixels of the variant's own frame; or None.
        report: counts, of the whole data set also after `select`.
    """

    paths: list[Path]
    attributes: NDArray[np.int8]
    partition: NDArray[np.int64]
    identity_ids: NDArray[np.int64] | None
    boxes: NDArray[np.float64] | None
    landmarks: NDArray[np.float64] | None
    report: CelebaReport

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def identities(self) -> NDArray[np.int64]:
        """(N,) identities.

        Raises:
            DataError: the data set has no identity file.
        """
        if self.identity_ids is None:
            raise DataError(
                f"no identity_CelebA.txt was found for {self.paths[0].parent if self.paths else 'CelebA'}",
                "put the file from the official download's Anno folder beside the attribute file",
            )
        return self.identity_ids

    def select(self, mask: NDArray[np.bool_]) -> "CelebA":
        """The images where the mask (N,) is set, in the same order."""
        assert mask.dtype == bool and mask.shape == (len(self),)
        return replace(
            self,
            paths=[self.paths[i] for i in np.flatnonzero(mask)],
            attributes=self.attributes[mask],
            partition=self.partition[mask],
            identity_ids=None if self.identity_ids is None else self.identity_ids[mask],
            boxes=None if self.boxes is None else self.boxes[mask],
            landmarks=None if self.landmarks is None else self.landmarks[mask],
        )

    def subset(self, partition: int) -> "CelebA":
        """The images of one part of the official split: 0, 1 or 2."""
        return self.select(self.partition == partition)

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        report, parts = self.report, np.bincount(self.partition, minlength=3)
        lines = [
            f"{report.images} images with labels: {parts[0]} to train nets, {parts[1]} for SVMs, {parts[2]} to test",
            f"{report.missing} of {report.rows} label rows have no image, {report.unlabelled} images have no label",
        ]
        if self.identity_ids is None:
            lines.append("no identity file: ANet cannot be pre-trained on this copy")
        else:
            lines.append(f"{len(np.unique(self.identity_ids))} identities")
        lines.append("no box file" if self.boxes is None else f"boxes, {report.zero_boxes} of them empty")
        lines.append("no landmark file" if self.landmarks is None else "landmarks")
        return lines


def load_celeba(root: Path, variant: Variant = "aligned") -> CelebA:
    """Every image of the variant that is there, with its labels.

    Raises:
        DataError: no images, a label file missing, cut short or malformed, unknown attribute names, an image without
            a row in one of the other files; one line that names the file (and line) and what to do.
    """
    folder, files = _find_images(root, variant)
    labels = read_labels(_label_file(root, "list_attr_celeba"))
    found = [files.get(_stem(name)) for name in labels.names]
    present = np.array([file is not None for file in found])
    if not present.any():
        raise DataError(
            f"{labels.path} names none of the images in {folder}", "put labels and images of one set together"
        )
    names = [name for name, file in zip(labels.names, found, strict=True) if file is not None]
    partition_table = read_numbers(_label_file(root, "list_eval_partition"), 1)
    whole_numbers(partition_table, 2)
    boxes = _optional(root, "list_bbox_celeba", names, 4)
    empty = None if boxes is None else (boxes[:, 2:] <= 0).any(axis=1)
    if boxes is not None:
        boxes[empty] = np.nan
    return CelebA(
        paths=[folder / file for file in found if file is not None],
        attributes=labels.values[present][:, _attribute_columns(labels)],
        partition=partition_table.values_of(names)[:, 0].astype(np.int64),
        identity_ids=_identities(root, names),
        boxes=boxes,
        landmarks=_optional(root, _LANDMARKS[variant], names, 10),
        report=CelebaReport(
            rows=len(labels.names),
            images=len(names),
            missing=len(labels.names) - len(names),
            unlabelled=len(files) - len(names),
            zero_boxes=None if empty is None else int(empty.sum()),
        ),
    )


def load_celeba_wild(root: Path) -> CelebA:
    """`load_celeba` of the in-the-wild images."""
    return load_celeba(root, "wild")


def hold_out_identities(identities: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which images to hold out: about `fraction` of the identities with all of their images.

    An identity's lot is a hash of it and the seed, so it does not change when images or other identities come or go.
    Shape: (N,) -> (N,) bool.
    """
    known, position = np.unique(identities, return_inverse=True)
    held = np.array([_lot(f"{seed}:{identity}") < fraction for identity in known], dtype=bool)
    return held[position]


def _lot(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _find_images(root: Path, variant: Variant) -> tuple[Path, dict[str, str]]:
    """The folder of images and its files by stem: the official PNG copies are labelled by .jpg names."""
    name = _IMAGE_FOLDER[variant]
    for folder in (root / "Img" / name, root / name, root / name / name, root):
        files = image_names(folder) if folder.is_dir() else []
        if files:
            return folder, {_stem(file): file for file in files}
    raise DataError(
        f"{root} has no images in Img/{name}",
        f"extract {name} of the official download there, or run `facetag data arrange`",
    )


def _label_file(root: Path, stem: str) -> Path:
    """The label file of this name, wherever it is."""
    found = _find_label_file(root, stem)
    if found is None:
        raise DataError(
            f"{root} has no {stem}.txt or .csv in Anno, Eval or itself", "copy it there, or run `facetag data arrange`"
        )
    return found


def _find_label_file(root: Path, stem: str) -> Path | None:
    folders = (root / "Anno", root / "Eval", root)
    candidates = (folder / f"{stem}{suffix}" for folder in folders for suffix in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def _attribute_columns(labels: Table) -> list[int]:
    """Where in the file each of ATTRIBUTES stands."""
    if sorted(labels.columns) != sorted(ATTRIBUTES):
        unknown = sorted(set(labels.columns) - set(ATTRIBUTES)) or sorted(set(ATTRIBUTES) - set(labels.columns))
        raise DataError(
            f"{labels.path}: its {len(labels.columns)} columns are not the forty attributes (first in doubt: "
            f"{next(iter(unknown), 'one comes twice')})",
            "use list_attr_celeba.txt as it was released",
        )
    return [labels.columns.index(name) for name in ATTRIBUTES]


def _identities(root: Path, names: list[str]) -> NDArray[np.int64] | None:
    path = _find_label_file(root, "identity_CelebA")
    if path is None:
        return None
    table = read_numbers(path, 1)
    whole_numbers(table, _LARGEST_IDENTITY)
    return table.values_of(names)[:, 0].astype(np.int64)


def _optional(root: Path, stem: str, names: list[str], fields: int) -> NDArray[np.float64] | None:
    """The numbers of these images, a copy, or None when there is no such file."""
    path = _find_label_file(root, stem)
    return None if path is None else np.array(read_numbers(path, fields).values_of(names))
