from pathlib import Path

import pytest

from facetag.datasets.folders import list_images, load_folders, load_scenes
from facetag.errors import DataError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_the_same_name_in_two_roots_is_one_class(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    touch(a / "n00000001/1.JPEG", a / "n00000002/2.jpg", b / "n00000001/3.png", b / "cup/4.jpg", b / "cup/5.jpg")
    data = load_folders([a, b])
    assert data.class_names == ("cup", "n00000001", "n00000002")
    found = [
        (path.relative_to(tmp_path).as_posix(), data.class_names[k])
        for path, k in zip(data.paths, data.labels, strict=True)
    ]
    assert found == [
        ("b/cup/4.jpg", "cup"),
        ("b/cup/5.jpg", "cup"),
        ("a/n00000001/1.JPEG", "n00000001"),
        ("b/n00000001/3.png", "n00000001"),
        ("a/n00000002/2.jpg", "n00000002"),
    ]
    assert data.summary() == ["5 images in 3 classes, 1 to 2 in each"]


def test_what_is_no_image_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.jpg", tmp_path / "a/notes.txt", tmp_path / "a/._1.jpg", tmp_path / "empty/x.txt")
    touch(tmp_path / ".hidden/1.jpg", tmp_path / "loose.jpg", tmp_path / "a/deeper/2.jpg", tmp_path / "a/.trash/3.jpg")
    data = load_folders([tmp_path])
    assert data.class_names == ("a",)
    assert [path.relative_to(tmp_path).as_posix() for path in data.paths] == ["a/1.jpg", "a/deeper/2.jpg"]


def test_linked_class_folders_count(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/1.jpg")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/cup").symlink_to(tmp_path / "elsewhere")
    assert load_folders([tmp_path / "root"]).class_names == ("cup",)


def test_each_root_must_have_classes(tmp_path: Path) -> None:
    touch(tmp_path / "good/cup/1.jpg", tmp_path / "flat/1.jpg")
    with pytest.raises(DataError, match="flat has no folder with images"):
        load_folders([tmp_path / "good", tmp_path / "flat"])


def test_images_are_listed_sorted_and_below(tmp_path: Path) -> None:
    touch(tmp_path / "b.jpg", tmp_path / "a.PNG", tmp_path / "sub/c.webp", tmp_path / "readme.md")
    expected = [tmp_path / "a.PNG", tmp_path / "b.jpg", tmp_path / "sub/c.webp"]
    assert list_images(tmp_path) == expected
    assert load_scenes(tmp_path).paths == expected
