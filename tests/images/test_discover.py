import contextlib
import errno
import io
import itertools
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import UsageError
from facetag.images.discover import Seen, discover, files_from, name_below
from facetag.images.file_types import DRAWN, kind_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.fixture
def tree(tmp_path):
    """Make files from a text of relative paths; those that end in `=` hold image bytes, others plain text."""

    def make(text):
        for word in text.split():
            path = tmp_path / word.removesuffix("=")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PNG if word.endswith("=") else b"text")
        return str(tmp_path)

    return make


def found(root, inputs=None, **options):
    paths = discover([root] if inputs is None else inputs, **options)
    return " ".join(os.path.relpath(path, root) for path in paths)


def test_folders_are_walked_in_the_order_of_bytes(tree):
    root = tree("b.jpg a/2.jpg a/1.jpg a.jpg a/z/3.jpg B.jpg é.jpg c/d/e.jpg 10.jpg 9.jpg")
    assert found(root) == "10.jpg 9.jpg B.jpg a/1.jpg a/2.jpg a/z/3.jpg a.jpg b.jpg c/d/e.jpg é.jpg"
    assert found(root, recursive=False) == "10.jpg 9.jpg B.jpg a.jpg b.jpg é.jpg"


def test_name_or_first_bytes_say_image(tree):
    root = tree("a.JPEG b.txt c.txt= d= e f.heic tags.csv f.jpg.xmp g.xcf=")
    discovery = discover([root])
    assert [os.path.basename(path) for path in discovery] == ["a.JPEG", "c.txt", "d", "f.heic", "g.xcf"]
    assert discovery.counts == {Seen.FOUND: 5, Seen.OTHER: 4}


def test_extensions_alone_decide_where_given(tree):
    root = tree("a.jpg b.PNG c.png= d.txt=")
    assert found(root, extensions=["png"]) == "b.PNG c.png"
    assert found(root, extensions=[".TXT", "jpg"]) == "a.jpg d.txt"


def test_a_named_file_is_always_yielded(tree):
    root = tree("notes.txt .hidden.txt a.jpg")
    named = [f"{root}/{name}" for name in ("notes.txt", ".hidden.txt", "a.jpg", "missing.jpg")]
    assert list(discover(named, exclude=["*"], extensions=["gif"])) == named
    assert list(discover(["nul\0.jpg", ""])) == ["nul\0.jpg", ""]


def test_hidden(tree):
    root = tree("a.jpg .b.jpg .c/d.jpg e/.f.jpg")
    assert found(root) == "a.jpg"
    assert found(root, hidden=True) == ".b.jpg .c/d.jpg a.jpg e/.f.jpg"
    assert found(root, [f"{root}/.c"]) == ".c/d.jpg"


def test_the_folder_that_is_drawn_into_is_left_alone(tree):
    root = tree("a.jpg drawn/a.jpg x/drawn/b.jpg")
    for drawings in (f"{root}/drawn", f"{root}/./drawn/"):
        assert found(root, drawings=drawings) == "a.jpg x/drawn/b.jpg"
    assert found(root, [f"{root}/drawn"], drawings=f"{root}/drawn") == "drawn/a.jpg"  # named by the user


def test_exclude(tree):
    root = tree("a.jpg x/a.jpg x/b.jpg y/x/c.jpg y/b.jpg")
    assert found(root, exclude=["x"]) == "a.jpg y/b.jpg"
    assert found(root, exclude=["x/*"]) == "a.jpg y/b.jpg y/x/c.jpg"
    assert found(root, exclude=["a.*", "c.jpg"]) == "x/b.jpg y/b.jpg"
    assert found(root, exclude=["x/"]) == "a.jpg y/b.jpg"
    assert found(root, exclude=[f"{root}/x/*"]) == "a.jpg y/b.jpg y/x/c.jpg"  # as it is written
    assert found(root, exclude=["*/x/*"]) == "a.jpg x/a.jpg x/b.jpg y/b.jpg"
    assert found(root, exclude=["/*", "!y"]) == "y/b.jpg y/x/c.jpg"
    os.symlink("x", f"{root}/link")
    assert found(root, exclude=["link/"], follow_links=True) == found(root)
    discovery = discover([root], exclude=["link/"])
    assert list(discovery) == list(discover([root])) and discovery.counts[Seen.LINK] == 1  # a file until it is followed


def test_what_an_earlier_run_drew_is_left_alone(tree):
    root = tree("a.jpg drawn/a.jpg-0123456789abcdef.jpg drawn/photo-0123456789abcdef.jpg drawn/b.jpg")
    drawing = f"{root}/drawn/a.jpg-0123456789abcdef.jpg"
    Path(drawing).write_bytes(DRAWN + b"more")
    Path(f"{root}/drawn/b.jpg").write_bytes(DRAWN + b"more")  # renamed by the user
    assert found(root) == "a.jpg drawn/b.jpg drawn/photo-0123456789abcdef.jpg"
    assert list(discover([drawing])) == [drawing]


def test_links(tree):
    root = tree("real/a.jpg other/b.jpg")
    os.symlink("../other", f"{root}/real/link")
    os.symlink("a.jpg", f"{root}/real/c.jpg")
    os.symlink("nowhere", f"{root}/real/dangling.jpg")
    os.symlink("nowhere", f"{root}/real/dangling")
    os.symlink("self.jpg", f"{root}/real/self.jpg")
    assert found(root, [f"{root}/real"]) == "real/a.jpg real/c.jpg real/dangling.jpg real/self.jpg"
    followed = found(root, [f"{root}/real"], follow_links=True)
    assert followed == "real/a.jpg real/c.jpg real/dangling.jpg real/link/b.jpg real/self.jpg"
    assert found(root, [f"{root}/real/link"]) == "real/link/b.jpg"


def test_loops_end(tree):
    root = tree("a/b/c.jpg")
    os.symlink("..", f"{root}/a/b/up")
    os.symlink(root, f"{root}/a/top")
    discovery = discover([root], follow_links=True)
    assert [os.path.relpath(path, root) for path in discovery] == ["a/b/c.jpg"]
    assert discovery.counts[Seen.LINK] == 2


def test_special_files_are_never_opened(tree):
    root = tree("a.jpg")
    os.mkfifo(f"{root}/fifo")
    os.mkfifo(f"{root}/fifo.jpg")
    os.symlink("fifo", f"{root}/link.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(root)  # a socket's path may have 107 bytes
        try:
            listener.bind("socket.jpg")
        finally:
            os.chdir(here)
        discovery = discover([root])
        names = []
        thread = threading.Thread(target=lambda: names.extend(map(os.path.basename, discovery)), daemon=True)
        thread.start()
        thread.join(10)
    assert names == ["a.jpg"]
    assert discovery.counts[Seen.SPECIAL] == 4
    assert found(root, [f"{root}/fifo"]) == "fifo"


def test_a_path_is_yielded_once(tree, monkeypatch):
    root = tree("a/1.jpg a/2.jpg a/b/3.jpg a/notes.txt a/.4.jpg")
    monkeypatch.chdir(root)
    assert list(discover(["a/1.jpg", "./a//1.jpg", f"{root}/a/1.jpg"])) == ["a/1.jpg"]
    assert list(discover(["a/2.jpg", "a", "a/", "."])) == ["a/2.jpg", "a/1.jpg", "a/b/3.jpg"]
    assert list(discover(["a", "a/1.jpg", "a/b", "a/b/3.jpg"])) == ["a/1.jpg", "a/2.jpg", "a/b/3.jpg"]
    passed_over = ["a/notes.txt", "a/.4.jpg", "a/2.jpg", "a/missing.jpg"]
    assert list(discover(["a", *passed_over], exclude=["2.*"])) == ["a/1.jpg", "a/b/3.jpg", *passed_over]
    assert list(discover(["a", "a/b/3.jpg"], recursive=False)) == ["a/1.jpg", "a/2.jpg", "a/b/3.jpg"]
    discovery = discover(["a/1.jpg", "a/1.jpg", "a", "a"])
    assert len(list(discovery)) == 3
    assert discovery.counts == {Seen.FOUND: 3, Seen.REPEATED: 3, Seen.OTHER: 1, Seen.HIDDEN: 1}


@pytest.fixture(scope="module")
def small_tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    (root / "a/b").mkdir(parents=True)
    for name in ("a/1.jpg", "a/2.jpg", "a/b/3.jpg", "a/x.txt"):
        (root / name).write_bytes(b"text")
    return str(root)


@given(inputs=st.lists(st.sampled_from(["a", "a/b", "a/1.jpg", "./a/b/3.jpg", "a/b/3.jpg", "a/x.txt", "a/none.jpg"])))
def test_nothing_is_yielded_twice_and_nothing_named_is_lost(small_tree, inputs):
    paths = [os.path.normpath(path) for path in discover(f"{small_tree}/{name}" for name in inputs)]
    expected = {f"{small_tree}/{os.path.normpath(name)}" for name in inputs if os.path.splitext(name)[1]}
    if "a" in inputs:
        expected |= {f"{small_tree}/a/1.jpg", f"{small_tree}/a/2.jpg"}
    if {"a", "a/b"} & set(inputs):
        expected |= {f"{small_tree}/a/b/3.jpg"}
    assert sorted(paths) == sorted(expected)


def test_the_stream_is_lazy(tree):
    root = tree("a.jpg b.jpg")

    def endless():
        yield f"{root}/a.jpg"
        for number in itertools.count():
            yield f"{root}/missing{number}"

    stream = iter(discover(endless()))
    assert [os.path.basename(next(stream)) for _ in range(3)] == ["a.jpg", "missing0", "missing1"]


@pytest.mark.parametrize("name", [b"a b\n\r\t.jpg", "\U0001f600.jpg".encode(), b"\xff\x80.jpg", b"*?[.jpg", b"-x.jpg"])
def test_every_file_name(tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb"):
        pass
    assert [os.fsencode(p) for p in discover([str(tmp_path)])] == [path]
    assert [os.fsencode(p) for p in discover([os.fsdecode(path)])] == [path]
    assert list(discover([str(tmp_path)], exclude=["*.jpg"])) == []


class Untold:
    """An entry of a folder on a disk that does not say what it is."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)

    def __fspath__(self):
        return self.path

    def is_symlink(self):
        raise OSError(errno.EIO, "Input/output error")


def test_what_the_disk_does_not_tell_of_ends_no_walk(tree, monkeypatch):
    root = tree("a.jpg c.jpg")
    entries = [*os.scandir(root), Untold(f"{root}/b.jpg"), Untold(f"{root}/b.txt")]
    monkeypatch.setattr(os, "scandir", lambda _: contextlib.nullcontext(entries))
    assert found(root) == "a.jpg b.jpg c.jpg"


def test_a_folder_that_cannot_be_listed_is_yielded(tree, monkeypatch):
    root = tree("a/1.jpg b/2.jpg")
    scandir = os.scandir

    def forbidding(path):
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    assert found(root) == "a b/2.jpg"


def test_deep_trees(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(600):
        os.mkdir("d")
        os.chdir("d")
    with open("a.jpg", "wb"):
        pass
    monkeypatch.chdir(tmp_path)
    depths = [path.count("/") for path in discover(["."])]
    os.chdir("d/" * 600)
    os.remove("a.jpg")
    for _ in range(600):  # pytest's own clean-up is recursive
        os.chdir("..")
        os.rmdir("d")
    assert depths == [601]


@pytest.mark.parametrize(
    ("text", "null", "expected"),
    [
        (b"", False, []),
        (b"a\nb\r\n\n c \nd", False, ["a", "b", " c ", "d"]),
        (b"a\nb\0\0c\r\0d", True, ["a\nb", "c\r", "d"]),
        (b"\xff\n", False, ["\udcff"]),
        (b"\xef\xbb\xbfa\nb", False, ["a", "b"]),
    ],
)
def test_lists(text, null, expected):
    assert list(files_from(io.BytesIO(text), null)) == expected


@given(st.lists(st.binary(min_size=1).filter(lambda name: b"\0" not in name)), st.integers(1, 9))
def test_lists_by_nul_survive_any_block_size(names, block):
    class Slow(io.BytesIO):
        def read1(self, size=-1):
            return super().read(block)

    assert [os.fsencode(path) for path in files_from(Slow(b"\0".join(names)), null=True)] == names


def test_a_list_is_read_as_it_arrives():
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb") as pen:
        pen.write(b"first\nsec")
        pen.flush()
        paths = files_from(stream)
        assert next(paths) == "first"
        pen.write(b"ond\n")
        pen.close()
        assert list(paths) == ["second"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        (b"RIFF\0\0\0\0WAVEfmt ", ""),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "BMP"),
        (b"BMI is weight over height squared", ""),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp42avif", ""),
        (b"", ""),
        (b"GIF", ""),
    ],
)
def test_kinds_by_first_bytes(head, kind):
    assert kind_of(head) == kind


@pytest.mark.parametrize(
    ("folder", "path", "name"),
    [
        (".", "./photos//a.jpg", "photos/a.jpg"),
        ("photos", "photos/a.jpg", "a.jpg"),
        ("photos/", "{here}/photos/b/a.jpg", "b/a.jpg"),
        ("{here}/photos", "photos/../a.jpg", "../a.jpg"),  # photos may be a link
        ("..", "a.jpg", "{last}/a.jpg"),
        ("photos", "a.jpg", "{here}/a.jpg"),
        ("photos", "photos2/a.jpg", "{here}/photos2/a.jpg"),
        ("photos", "/a.jpg", "/a.jpg"),
        ("photos", "photos", "."),
    ],
)
def test_names_below_a_folder(tmp_path, monkeypatch, folder, path, name):
    monkeypatch.chdir(tmp_path)
    spelt = {"here": os.getcwd(), "last": os.path.basename(os.getcwd())}
    name_of = name_below(folder.format(**spelt))
    assert name_of(path.format(**spelt)) == name.format(**spelt)


@given(st.sets(st.lists(st.sampled_from(["a", "b", ".."]), min_size=1, max_size=4).map("/".join)))
def test_different_files_keep_different_names(paths):
    depth = os.getcwd().count("/")  # above the root lies the root again
    paths = {path for path in paths if path.split("/").count("..") <= depth}
    assert len(set(map(name_below("a"), paths))) == len(paths)


def test_paths_are_seen_from_a_folder(tree, monkeypatch):
    monkeypatch.chdir(tree("in/a.jpg in/b/c.jpg d.jpg"))
    assert list(discover(["in", "./in/a.jpg", "d.jpg"], relative_to="in")) == [
        "a.jpg",
        "b/c.jpg",
        os.path.abspath("d.jpg"),
    ]
    assert list(discover(["in/b", "in"], relative_to=".")) == ["in/b/c.jpg", "in/a.jpg"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_list_in_another_encoding_is_refused_with_its_remedy(codec):
    name = codec.upper()[:6]
    with pytest.raises(UsageError, match=f"is {name}; write it as UTF-8: iconv -f {name} -t UTF-8 LIST"):
        list(files_from(io.BytesIO("photos/a.jpg\r\nphotos/b.jpg\r\n".encode(codec))))


def test_paths_that_end_in_nul_are_refused_where_lines_are_expected(tmp_path):
    with pytest.raises(UsageError, match="end in NUL; add -0"):
        list(files_from(io.BytesIO(b"photos/a.jpg\0photos/b.jpg\0")))
    late = io.BytesIO(b"photos/a.jpg\n" * 10_000 + b"photos/b.jpg\0")
    with pytest.raises(UsageError, match="add -0"):
        list(files_from(late))


@pytest.mark.parametrize("name", [b"\xff\xfea.jpg", b"\xfe\xff.jpg", b"x", "é".encode("latin-1")])
def test_every_file_name_may_begin_a_list(name):
    assert list(files_from(io.BytesIO(name + b"\0longer/name.jpg\0"), null=True)) == [
        os.fsdecode(name),
        "longer/name.jpg",
    ]
    assert list(files_from(io.BytesIO(name + b"\nb.jpg\n"))) == [os.fsdecode(name), "b.jpg"]


def test_a_path_through_the_folder_above_is_the_same_path_unless_a_link_leads_there(tree, tmp_path, monkeypatch):
    tree("a/x.jpg= b/y.jpg= c/d/z.jpg=")
    monkeypatch.chdir(tmp_path)
    os.symlink("c/d", "link")
    tree("c/x.jpg=")
    named = ["a/x.jpg", "b/../a/x.jpg", "a/../../" + tmp_path.name + "/a/x.jpg", "c/d/../../a/x.jpg"]
    discovery = discover(named)
    assert list(discovery) == ["a/x.jpg"] and discovery.counts[Seen.REPEATED] == 3
    assert list(discover(["c/x.jpg", "link/../x.jpg"])) == [
        "c/x.jpg",
        "link/../x.jpg",
    ]
    assert list(discover(["x.jpg", "link/../x.jpg", "none/../x.jpg"])) == ["x.jpg", "link/../x.jpg", "none/../x.jpg"]
    assert list(discover(["b/../a", "a", "a/../a/x.jpg"])) == ["b/../a/x.jpg"]
    assert list(discover(["b/../a/x.jpg"], relative_to="c/../a")) == ["x.jpg"]
    assert list(discover(["link/../x.jpg"], relative_to=".")) == ["link/../x.jpg"]


def test_what_was_named_and_is_not_there_is_known(tree, tmp_path, monkeypatch):
    tree("a.jpg=")
    monkeypatch.chdir(tmp_path)
    os.symlink("nowhere", "dangling.jpg")
    discovery = discover(["a.jpg", "none.jpg", "dangling.jpg"], relative_to=str(tmp_path))
    assert [path for path in discovery if discovery.was_missing(path)] == ["none.jpg"]


@pytest.mark.parametrize("null", [True, False])
def test_a_list_without_ends_is_not_one_path(null):
    """It was, after a time that grew with the square of its length."""
    text = (b"a.jpg\n" if null else b"a.jpg ") * 10_000_000
    with pytest.raises(UsageError, match=r"more than 1048576 bytes; add -0 where .*, and leave it out"):
        list(files_from(io.BytesIO(text), null))
