import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.attributes import ATTRIBUTES
from facetag.datasets.celeba import hold_out_identities, load_celeba, load_celeba_wild
from facetag.errors import DataError

NAMES = [f"{i:06d}.jpg" for i in range(1, 7)]
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 2, (6, 40))
PARTITION = [0, 0, 0, 1, 2, 2]
IDENTITIES = [7, 7, 3, 5, 11, 11]


def attributes_text(columns: Sequence[str] = ATTRIBUTES, names: Sequence[str] = NAMES, eol: str = "\n") -> str:
    order = [ATTRIBUTES.index(name) for name in columns]
    rows = [
        name + "".join(f" {2 * label - 1:2d}" for label in row[order]) for name, row in zip(names, LABELS, strict=False)
    ]
    return eol.join([str(len(rows)), " ".join(columns) + " ", *rows, ""])


def write_tree(
    root: Path, images: Sequence[str] = NAMES, folder: str = "Img/img_align_celeba", eol: str = "\n"
) -> Path:
    for place in ("Anno", "Eval", folder):
        (root / place).mkdir(parents=True, exist_ok=True)
    for name in images:
        (root / folder / name).write_bytes(b"")
    (root / "Anno/list_attr_celeba.txt").write_bytes(attributes_text(eol=eol).encode())
    pairs = zip(NAMES, IDENTITIES, strict=True)
    (root / "Anno/identity_CelebA.txt").write_bytes("".join(f"{name} {i}{eol}" for name, i in pairs).encode())
    pairs = zip(NAMES, PARTITION, strict=True)
    (root / "Eval/list_eval_partition.txt").write_bytes("".join(f"{name} {i}{eol}" for name, i in pairs).encode())
    return root


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_the_official_tree(eol: str, tmp_path: Path) -> None:
    data = load_celeba(write_tree(tmp_path, eol=eol))
    assert data.paths == [tmp_path / "Img/img_align_celeba" / name for name in NAMES]
    assert data.attributes.dtype == np.int8
    assert np.array_equal(data.attributes, LABELS)
    assert data.identities.tolist() == IDENTITIES
    assert data.partition.tolist() == PARTITION
    assert data.boxes is None and data.landmarks is None
    assert (data.report.rows, data.report.images, data.report.missing) == (6, 6, 0)


def test_columns_are_put_in_our_order_by_name(tmp_path: Path) -> None:
    write_tree(tmp_path)
    (tmp_path / "Anno/list_attr_celeba.txt").write_text(attributes_text(columns=ATTRIBUTES[::-1]))
    assert np.array_equal(load_celeba(tmp_path).attributes, LABELS)


def test_rows_without_image_and_images_without_row_are_counted(tmp_path: Path) -> None:
    data = load_celeba(write_tree(tmp_path, images=["000002.jpg", "000005.jpg", "000099.jpg"]))
    assert [path.name for path in data.paths] == ["000002.jpg", "000005.jpg"]
    assert np.array_equal(data.attributes, LABELS[[1, 4]])
    assert data.identities.tolist() == [7, 11]
    assert (data.report.rows, data.report.images, data.report.missing, data.report.unlabelled) == (6, 2, 4, 1)
    assert "4 of 6 label rows have no image, 1 images have no label" in data.summary()


def test_a_flat_folder_and_png_images(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", images=[])
    flat = tmp_path / "flat"
    (flat / "img_align_celeba").mkdir(parents=True)
    for file in [*tree.glob("Anno/*"), *tree.glob("Eval/*")]:
        file.rename(flat / file.name)
    (flat / "img_align_celeba/000003.png").write_bytes(b"")
    data = load_celeba(flat)
    assert data.paths == [flat / "img_align_celeba/000003.png"]
    assert data.identities.tolist() == [3]


def test_kaggle_has_csv_files_nested_images_and_no_identities(tmp_path: Path) -> None:
    folder = tmp_path / "img_align_celeba/img_align_celeba"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_bytes(b"")
    rows = [",".join([name, *map(str, 2 * row - 1)]) for name, row in zip(NAMES, LABELS, strict=True)]
    (tmp_path / "list_attr_celeba.csv").write_text("\n".join([",".join(["image_id", *ATTRIBUTES]), *rows]))
    splits = [f"{name},{part}" for name, part in zip(NAMES, PARTITION, strict=True)]
    (tmp_path / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *splits]))
    data = load_celeba(tmp_path)
    assert np.array_equal(data.attributes, LABELS)
    assert data.partition.tolist() == PARTITION
    assert "no identity file: ANet cannot be pre-trained on this copy" in data.summary()
    with pytest.raises(DataError, match=r"no identity_CelebA\.txt"):
        _ = data.identities
    assert data.subset(0).identity_ids is None


def test_in_the_wild_with_boxes_and_landmarks(tmp_path: Path) -> None:
    write_tree(tmp_path, images=NAMES[1:], folder="Img/img_celeba")
    boxes = np.arange(24).reshape(6, 4) + 1
    boxes[2, 2] = 0
    boxes[0] = 0  # has no image, so is not counted
    rows = [" ".join([name, *map(str, box)]) for name, box in zip(NAMES, boxes, strict=True)]
    (tmp_path / "Anno/list_bbox_celeba.txt").write_text("\n".join(["6", "image_id x_1 y_1 width height", *rows]))
    for stem, offset in (("list_landmarks_celeba", 100), ("list_landmarks_align_celeba", 0)):
        rows = [f"{name}   " + "  ".join(str(offset + i) for i in range(10)) for name in NAMES]
        header = (
            "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
        )
        (tmp_path / f"Anno/{stem}.txt").write_text("\n".join(["6", header, *rows]))
    data = load_celeba_wild(tmp_path)
    assert data.boxes is not None and data.landmarks is not None
    assert np.isnan(data.boxes).all(axis=1).tolist() == [False, True, False, False, False]
    assert data.boxes[0].tolist() == boxes[1].tolist()
    assert data.report.zero_boxes == 1
    assert data.landmarks[4].tolist() == list(range(100, 110))
    with pytest.raises(DataError, match="img_align_celeba"):
        load_celeba(tmp_path)


def test_subsets_keep_rows_together(tmp_path: Path) -> None:
    data = load_celeba(write_tree(tmp_path))
    test = data.subset(2)
    assert [path.name for path in test.paths] == NAMES[4:]
    assert np.array_equal(test.attributes, LABELS[4:])
    assert test.identities.tolist() == [11, 11]
    assert len(data.select(np.zeros(6, dtype=bool))) == 0


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("Anno/list_attr_celeba.txt", "6\n", "202599\n", "says 202599 rows on its first line but has 6"),
        ("Anno/list_attr_celeba.txt", "Smiling", "Grinning", "(first in doubt: Grinning)"),
        ("Anno/list_attr_celeba.txt", "Smiling", "", "line 3: 41 fields where 40 belong"),
        ("Anno/identity_CelebA.txt", "000004.jpg 5\n", "", "no row for 000004.jpg"),
        ("Anno/identity_CelebA.txt", "000004.jpg 5\n", "000004.jpg 5.5\n", "line 4: not one of"),
        ("Eval/list_eval_partition.txt", "000004.jpg 1\n", "000004.jpg 7\n", "line 4: not one of 0 to 2"),
    ],
)
def test_half_present_or_altered_files_are_refused(file: str, old: str, new: str, says: str, tmp_path: Path) -> None:
    replace_text(write_tree(tmp_path) / file, old, new)
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        load_celeba(tmp_path)
    assert file in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("file", ["Anno/list_attr_celeba.txt", "Eval/list_eval_partition.txt"])
def test_a_missing_label_file_is_named(file: str, tmp_path: Path) -> None:
    (write_tree(tmp_path) / file).unlink()
    with pytest.raises(DataError, match=Path(file).stem):
        load_celeba(tmp_path)


def test_images_of_another_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names none of the images"):
        load_celeba(write_tree(tmp_path, images=["portrait.jpg"]))


def test_a_link_whose_image_is_gone_is_missing(tmp_path: Path) -> None:
    write_tree(tmp_path, images=NAMES[:2])
    (tmp_path / "Img/img_align_celeba" / NAMES[2]).symlink_to(tmp_path / "gone.jpg")
    assert load_celeba(tmp_path).report.images == 2


@given(st.lists(st.integers(0, 50), min_size=1, max_size=80), st.integers(0, 5))
def test_held_out_identities_are_whole_and_stable(identities: list[int], seed: int) -> None:
    known = np.array(identities)
    mask = hold_out_identities(known, 0.5, seed)
    assert not set(known[mask]) & set(known[~mask])
    assert np.array_equal(hold_out_identities(known[::-1], 0.5, seed), mask[::-1])
    assert np.array_equal(hold_out_identities(known[:1], 0.5, seed), mask[:1])
    assert not (mask & ~hold_out_identities(known, 0.7, seed)).any()


def test_held_out_share_and_seed() -> None:
    known = np.arange(10_000)
    masks = [hold_out_identities(known, 0.2, seed) for seed in (0, 1)]
    assert all(0.18 < mask.mean() < 0.22 for mask in masks)
    assert not np.array_equal(*masks)
    assert np.flatnonzero(masks[0])[:5].tolist() == [7, 15, 18, 20, 25]  # on every machine
