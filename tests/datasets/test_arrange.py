import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from facetag.attributes import ATTRIBUTES
from facetag.datasets.arrange import Arranged, arrange, check
from facetag.errors import DataError, UsageError

CELEBA_LABELS = {
    "list_attr_celeba.txt": "1\n" + " ".join(ATTRIBUTES) + "\n000001.jpg" + " -1" * 40 + "\n",
    "identity_CelebA.txt": "000001.jpg 5\n",
    "list_eval_partition.txt": "000001.jpg 1\n",
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def zipped(path: Path, files: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def tree(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


CELEBA = {f"{'Eval' if 'eval' in name else 'Anno'}/{name}": text for name, text in CELEBA_LABELS.items()} | {
    "Img/img_align_celeba/000001.jpg": "face"
}


def official(source: Path) -> None:
    write(source, CELEBA_LABELS | {"README.txt": "read me"})
    zipped(source / "Img/img_align_celeba.zip", {"img_align_celeba/000001.jpg": "face", "__MACOSX/._000001.jpg": "x"})


def flat(source: Path) -> None:
    write(source, CELEBA_LABELS | {"img_align_celeba/000001.jpg": "face"})


def all_in_one_archive(source: Path) -> None:
    zipped(source / "celeba.zip", {f"celeba/{name}": text for name, text in CELEBA_LABELS.items()})
    (source / "img_align_celeba.tar.gz").write_bytes(tarred({"000001.jpg": b"face"}, "w:gz"))


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("prepare", [official, flat, all_in_one_archive])
def test_celeba_from_what_users_have(prepare: Callable[[Path], None], link: bool, tmp_path: Path) -> None:
    source, dest = tmp_path / "source", tmp_path / "dest"
    source.mkdir()
    prepare(source)
    before = {path: path.stat() for path in source.rglob("*") if path.is_file()}
    first = arrange("celeba", source, dest, link)
    assert tree(dest) == CELEBA
    assert first.placed == 4 and first.reused == 0
    assert arrange("celeba", source, dest, link) == Arranged(placed=0, reused=4, ignored=first.ignored)
    assert check("celeba", dest)[0] == "1 images with labels: 0 to train nets, 1 for SVMs, 0 to test"
    assert {path: path.stat().st_mtime_ns for path in before} == {path: s.st_mtime_ns for path, s in before.items()}
    assert any(path.is_symlink() for path in dest.rglob("*")) == (link and prepare is not all_in_one_archive)


def test_kaggle_and_in_the_wild(tmp_path: Path) -> None:
    write(tmp_path / "kaggle", {"list_attr_celeba.csv": "a", "img_align_celeba/img_align_celeba/000001.jpg": "face"})
    write(tmp_path / "kaggle", {"list_eval_partition.csv": "b", "list_bbox_celeba.csv": "c"})
    write(tmp_path / "kaggle", {"celeba/img_celeba/000001.jpg": "whole"})
    arrange("celeba", tmp_path / "kaggle", tmp_path / "dest")
    assert tree(tmp_path / "dest") == {
        "Anno/list_attr_celeba.csv": "a",
        "Anno/list_bbox_celeba.csv": "c",
        "Eval/list_eval_partition.csv": "b",
        "Img/img_align_celeba/000001.jpg": "face",
        "Img/img_celeba/000001.jpg": "whole",
    }


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    flat(tmp_path / "source")
    write(tmp_path / "dest", {"Img/img_align_celeba/000001.jpg": "mine"})
    assert arrange("celeba", tmp_path / "source", tmp_path / "dest").reused == 1
    assert tree(tmp_path / "dest")["Img/img_align_celeba/000001.jpg"] == "mine"


def test_the_destination_may_lie_in_the_source_and_links_may_loop(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"1.jpg": "cup"})
    (tmp_path / "source").mkdir()
    (tmp_path / "source/cup").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/loop").symlink_to(tmp_path / "source")
    for _ in range(2):
        arrange("objects", tmp_path / "source", tmp_path / "source/arranged")
        assert tree(tmp_path / "source/arranged") == {"cup/1.jpg": "cup"}


def test_imagenet_is_a_tar_of_tars_and_validation_has_no_classes(tmp_path: Path) -> None:
    inner = {name: tarred({f"{name}_1.JPEG": name.encode()}) for name in ("n00000001", "n00000002")}
    source = tmp_path / "source"
    source.mkdir()
    (source / "ILSVRC2012_img_train.tar").write_bytes(tarred({f"{name}.tar": data for name, data in inner.items()}))
    (source / "ILSVRC2012_img_val.tar").write_bytes(tarred({"ILSVRC2012_val_00000001.JPEG": b"?"}))
    write(source, {"tiny/train/n00000003/images/n00000003_0.JPEG": "tiny"})
    write(
        source,
        {
            "101/Faces/image_0001.jpg": "face",
            "101/BACKGROUND_Google/image_0001.jpg": "?",
            "101/cup/image_0001.jpg": "cup",
        },
    )
    assert arrange("objects", source, tmp_path / "dest").ignored == 3
    assert tree(tmp_path / "dest") == {
        "cup/image_0001.jpg": "cup",
        "n00000001/n00000001_1.JPEG": "n00000001",
        "n00000002/n00000002_1.JPEG": "n00000002",
        "n00000003/n00000003_0.JPEG": "tiny",
    }
    assert check("objects", tmp_path / "dest") == ["4 images in 4 classes, 1 to 1 in each"]


def test_lfw_from_its_archive_with_labels_beside(tmp_path: Path) -> None:
    source = write(
        tmp_path / "source", {"LFWA+/lfw_att_40.mat": "m", "LFWA+/attributes.txt": "?", "lfw_attributes.txt": "k"}
    )
    (source / "lfw.tgz").write_bytes(tarred({"lfw/Ann_Li/Ann_Li_0001.jpg": b"a", "lfw/Ann_Li/other.jpg": b"?"}, "w:gz"))
    arrange("lfwa", source, tmp_path / "dest")
    assert tree(tmp_path / "dest") == {
        "lfw/Ann_Li/Ann_Li_0001.jpg": "a",
        "lfw_att_40.mat": "m",
        "lfw_attributes.txt": "k",
    }


def test_people_backgrounds_and_webfaces(tmp_path: Path) -> None:
    source = write(
        tmp_path / "mine", {"Ann/1.jpg": "a", "Bo/1.jpg": "b", "notes.txt": "?", "pic1.jpg": "p", "boxes.csv": "c"}
    )
    arrange("people", source, tmp_path / "people")
    assert tree(tmp_path / "people") == {"Ann/1.jpg": "a", "Bo/1.jpg": "b", "mine/pic1.jpg": "p"}
    arrange("backgrounds", source, tmp_path / "backgrounds")
    assert tree(tmp_path / "backgrounds") == {"Ann/1.jpg": "a", "Bo/1.jpg": "b", "pic1.jpg": "p"}
    arrange("webfaces", source, tmp_path / "webfaces")
    assert tree(tmp_path / "webfaces") == {"pic1.jpg": "p", "boxes.csv": "c"}


def test_one_archive_is_a_source(tmp_path: Path) -> None:
    zipped(tmp_path / "scenes.zip", {"a/1.jpg": "one", "../out.jpg": "?", "/abs.jpg": "?", "2.jpg": "two"})
    arrange("backgrounds", tmp_path / "scenes.zip", tmp_path / "dest")
    assert tree(tmp_path / "dest") == {"a/1.jpg": "one", "2.jpg": "two"}
    assert not (tmp_path / "out.jpg").exists()


def test_sources_without_the_set_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"notes.txt": "?"})
    with pytest.raises(
        DataError, match="source holds nothing of celeba; expected: a folder or archive img_align_celeba"
    ):
        arrange("celeba", source, tmp_path / "dest")
    with pytest.raises(DataError, match="gone does not exist"):
        arrange("celeba", tmp_path / "gone", tmp_path / "dest")
    for function in (lambda: arrange("imagenet", source, tmp_path / "dest"), lambda: check("imagenet", source)):
        with pytest.raises(UsageError, match="no data set is called 'imagenet'; one of celeba, "):
            function()


@pytest.mark.parametrize("name", ["img_align_celeba.zip", "img_align_celeba.tar", "img_align_celeba.tar.gz"])
def test_broken_archives_are_named_and_leave_no_half_files(name: str, tmp_path: Path) -> None:
    files = {f"img_align_celeba/{i:06d}.jpg": os.urandom(4000) for i in range(1, 4)}
    if name.endswith("zip"):
        zipped(tmp_path / name, {})
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, data in files.items():
                archive.writestr(member, data)
        whole = bytearray((tmp_path / name).read_bytes())
        whole[6000:6010] = bytes(10)  # in the second image
        (tmp_path / name).write_bytes(whole)
    else:
        (tmp_path / name).write_bytes(tarred(files, "w:gz" if name.endswith("gz") else "w")[:6500])
    with pytest.raises(DataError, match=name) as caught:
        arrange("celeba", tmp_path / name, tmp_path / "dest")
    assert caught.value.remedy
    found = [path for path in (tmp_path / "dest").rglob("*") if path.is_file()]
    assert [path.name for path in found] == ["000001.jpg"]
    assert found[0].read_bytes() == files["img_align_celeba/000001.jpg"]
