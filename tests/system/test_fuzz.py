"""Every reader of files that users bring meets damaged and invented ones: it succeeds or says one line, nothing else.

Most start from a valid file and edit it, so that they get past the first look.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from documents import NAMES, written
from hostile import FAMILIES, OK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facetag import cli
from facetag.attributes import ATTRIBUTES
from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.celeba import load_celeba
from facetag.datasets.kumar import read_kumar
from facetag.datasets.lfwa import load_lfwa
from facetag.datasets.tags import labeled_images_of, load_tags_csv
from facetag.datasets.webfaces import load_webfaces
from facetag.errors import DataError, ExitCode, FacetagError, ImageError
from facetag.formats.destination import next_to
from facetag.formats.path_encoding import escape
from facetag.formats.readers import READERS, read_records
from facetag.formats.result_json import record_from_json, record_to_json
from facetag.formats.xmp.sidecar import tag_sidecar, untag_sidecar
from facetag.geometry import Box
from facetag.images.decode import decode
from facetag.images.discover import discover, files_from
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.model import load_model
from facetag.model_folder import FILES, description_digest
from facetag.pipeline.face_sources import GivenBoxes
from facetag.pipeline.items import Answer, Source
from facetag.pipeline.loader import ReadSettings, read
from facetag.results import FaceResult, ImageResult, Status
from facetag.runs.cache_key import CacheKey
from facetag.runs.journal import ENDING, Journal
from facetag.runs.shard_journals import check_parts, merged, read_part
from facetag.tagger import Tagger
from facetag.training.recipe import load_recipe

few = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
some = settings(few, max_examples=100)
more = settings(few, max_examples=200)

#: What is put where something else stood: extremes of numbers in bytes and in text, and what ends or nests things.
NUMBERS = [number.to_bytes(4, order) for number in (0, 1, 2**31 - 1, 2**31, 2**32 - 1) for order in ("little", "big")]
WORDS = [
    *NUMBERS, b"\0", b"\xff\xff", b"\xff\xd9", b"\n", b"\r\n", b"\r", b"\t", b" ", b",", b'"', b"''", b"=", b"[", b"]",
    b"[[", b"{", b"}", b"#", b";", b"-", b"-1", b"0", b"0.5", b"1e999", b"nan", b"-inf", b"9" * 5000, b"true", b"null",
    b"\xef\xbb\xbf", b"\xff", "é\u2028".encode(), b"[" * 3000, b'{"a":' * 3000, b"x", b"../", b"/", b"\\", b"1 ",
]  # fmt: skip
edits = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.integers(0, 12), st.sampled_from(WORDS) | st.binary(max_size=6)), max_size=6
)


def edited(data: bytes, changes) -> bytes:
    """The data with some stretches replaced; no change leaves it valid."""
    for at, length, new in changes:
        at %= len(data) + 1
        data = data[:at] + new + data[at + length :]
    return data


@contextmanager
def one_line_at_most(changes=True):
    """An error that is for the user is one line; all else fails the test, and so does a refusal of what was valid."""
    try:
        yield
    except FacetagError as error:
        assert changes
        assert str(error) and len(str(error).splitlines()) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


USED = (b"turned", b"modes", b"spoilt")
PICTURES = sorted({content for family in USED for _, content, is_ in FAMILIES[family]() if is_ == OK})


@more
@given(st.sampled_from(PICTURES), edits | st.integers(0, 4000))
def test_pictures(picture, change):
    data = picture[:change] if isinstance(change, int) else edited(picture, change)
    try:
        pixels = decode(data, max_pixels=1 << 20).pixels
    except ImageError as error:
        assert change != [] and len(str(error).splitlines()) == 1
    else:
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == "uint8" and 0 < pixels.size <= 3 << 20


LIST = b"photos/a.jpg\nphotos\r\n\n./b\n" + "\N{GRINNING FACE}.png\n".encode()


@few
@given(edits, st.booleans())
def test_lists_of_files(folder, changes, null):
    """Whatever a list names gets its row, or is a folder."""
    path = folder / "list"
    path.write_bytes(edited(LIST, changes))
    with one_line_at_most(changes), path.open("rb") as stream:
        names = [name for name in files_from(stream, null) if not name.startswith(("/", "..", "./..", "."))]
        for name in discover(names):
            item = read(name, ReadSettings())
            assert isinstance(item, Answer) and item.record.path == name
            escape(name).encode()


BOXES = b'file,x,y,width,height\na.jpg,1,2,30,40\na.jpg,50.5,2,30,40\n"b,\xff.jpg",,,,\nc/\\x0a.jpg,1e1,0,1,1\n'


@few
@given(edits)
def test_boxes(folder, changes):
    path = folder / "boxes.csv"
    path.write_bytes(edited(BOXES, changes))
    with one_line_at_most(changes):
        GivenBoxes(load_boxes_csv(path), path)


TAGS = b'file,Male,Smiling,other\na.jpg,1,-1,x\n"b,\xff.jpg",,0,\nc.jpg,0,1,7\n'


@few
@given(edits)
def test_tags(folder, changes):
    path = folder / "tags.csv"
    path.write_bytes(edited(TAGS, changes))
    with one_line_at_most(changes):
        labels = load_tags_csv(path)
        with pytest.raises(DataError, match="is not there"):
            labeled_images_of(labels, folder)


def celeba_files(names=("000001.jpg", "000002.jpg", "000003.jpg")):
    """The official form of every label file."""
    answers = " 1 -1" * 20
    yes_no = "".join(f"{name}{answers}\n" for name in names)
    return {
        "list_attr_celeba.txt": f"{len(names)}\n{' '.join(ATTRIBUTES)} \n{yes_no}",
        "list_eval_partition.txt": "".join(f"{name} {row}\n" for row, name in enumerate(names)),
        "identity_CelebA.txt": "".join(f"{name} {row + 7}\n" for row, name in enumerate(names)),
        "list_bbox_celeba.txt": f"{len(names)}\nimage_id x_1 y_1 width height\n"
        + "".join(f"{name}  95  71 226 313\n" for name in names),
        "list_landmarks_align_celeba.csv": "image_id,a,b,c,d,e,f,g,h,i,j\n"
        + "".join(f"{name},1,2,3,4,5,6,7,8,9,10\n" for name in names),
    }  # fmt: skip


@pytest.fixture(scope="module")
def celeba(folder):
    root = folder / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    for number in (1, 2, 3):
        (root / "img_align_celeba" / f"{number:06d}.jpg").touch()
    return root


@more
@given(st.sampled_from(sorted(celeba_files())), edits)
def test_labels_of_celeba(celeba, damaged, changes):
    for name, text in celeba_files().items():
        (celeba / name).write_bytes(edited(text.encode(), changes if name == damaged else ()))
    with one_line_at_most(changes):
        "".join(load_celeba(celeba).summary())


KUMAR = b"# LFW attributes\n#\tperson\timagenum\tMale\tSmiling\nAnn Li\t1\t1.5\t-0.2\nBo Ek\t2\t-1e-3\t2\n"
POINTS = b"a.jpg 1 2 30 2 15 20 15 30\nb.jpg 1 2 30 2 15 20 15 30\n"


@few
@given(edits)
def test_texts_of_other_sets(folder, changes):
    (folder / "lfw_attributes.txt").write_bytes(edited(KUMAR, changes))
    with one_line_at_most(changes):
        read_kumar(folder / "lfw_attributes.txt")
    root = folder / "webfaces"
    root.mkdir(exist_ok=True)
    (root / "a.jpg").touch()
    (root / "WebFaces_GroundThruth.txt").write_bytes(edited(POINTS, changes))
    with one_line_at_most(changes):
        "".join(load_webfaces(root).summary())


@pytest.fixture(scope="module")
def lfwa(folder):
    pytest.importorskip("h5py")
    from lfwa_files import ATTRIBUTES, LABELS, NAMES, write_labels, write_split

    root = folder / "lfwa"
    for name in NAMES:
        (root / "lfw" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "lfw" / name).touch()
    write_labels(root / "lfw_att_40.mat", ATTRIBUTES, LABELS)
    write_split(root / "indices_train_test.mat", [1, 2, 5], [3, 4])
    for path in list(root.glob("*.mat")):
        shutil.copyfile(path, path.with_suffix(".valid"))
    return root


@more
@given(st.booleans(), edits)
def test_labels_of_lfwa(lfwa, which, changes):
    for number, path in enumerate(sorted(lfwa.glob("*.valid"))):
        path.with_suffix(".mat").write_bytes(edited(path.read_bytes(), changes if number == which else ()))
    with one_line_at_most(changes):
        "".join(load_lfwa(lfwa).summary())


#: A value of JSON or TOML that stands where another should.
odd = st.sampled_from([
    None, True, False, 0, 1, -1, 3, 0.5, 1e308, float("nan"), float("inf"), 10**40, "", "x", "\n", [], [1], [[]], {},
    {"x": 1}, [0.5] * 40, [None] * 40, ["a"] * 40, "faithful", "folded", "\ud800",
])  # fmt: skip


def paths_in(value, path=()):
    """Where values stand in nested data, the whole and its parts."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths_in(value[key], (*path, key))


def replaced(value, path, new, how):
    """A copy of nested data with one value replaced, removed or joined by another."""
    if not path:
        return new
    copy = dict(value)
    if len(path) > 1:
        copy[path[0]] = replaced(value[path[0]], path[1:], new, how)
    elif how == "remove":
        del copy[path[0]]
    else:
        copy["further" if how == "add" else path[0]] = new
    return copy


def use(folder):
    """Describe and load a model and make ready what uses it."""
    with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        assert cli.run(["model", "info", os.fspath(folder)]) in (ExitCode.OK, ExitCode.FATAL)
    assert len(said.getvalue().splitlines()) <= 1
    model = load_model(str(folder))
    LNetLocalizer(model, torch.device("cpu"))
    Tagger(model, torch.device("cpu"))


@pytest.fixture(scope="module")
def model(model_folder, folder):
    return Path(shutil.copytree(model_folder, folder / "model"))


@few
@given(st.data(), odd, st.sampled_from(["replace", "replace", "remove", "add"]))
def test_descriptions_of_models(model, model_folder, data, new, how):
    description = json.loads((model_folder / "model.json").read_text())
    (model / "CARD.md").write_bytes(data.draw(st.sampled_from([b"# a card\n", b"", b"\xff"])))
    path = data.draw(st.sampled_from(list(paths_in(description))))
    changed = replaced(description, path, new, how)
    if isinstance(changed, dict) and isinstance(changed.get("sha256"), dict):
        changed["sha256"]["model.json"] = description_digest(changed)  # past the checksums
    (model / "model.json").write_text(json.dumps(changed))
    with one_line_at_most():
        use(model)


@few
@given(edits)
def test_damaged_descriptions_of_models(model, model_folder, changes):
    (model / "model.json").write_bytes(edited((model_folder / "model.json").read_bytes(), changes))
    with one_line_at_most(changes):
        use(model)


@few
@given(st.sampled_from(FILES), st.integers(0, 600), st.integers(0, 12), st.sampled_from(WORDS) | st.binary(max_size=6))
def test_weights_of_models(model, model_folder, name, at, length, new):
    """The change lies in the table that says what the file holds, and is past the checksums."""
    weights = (model_folder / name).read_bytes()
    changed = weights[:at] + new + weights[at + length :]
    description = json.loads((model_folder / "model.json").read_text())
    description["sha256"][name] = hashlib.sha256(changed).hexdigest()
    description["sha256"]["model.json"] = description_digest(description)
    (model / "model.json").write_text(json.dumps(description))
    (model / name).write_bytes(changed)
    try:
        with one_line_at_most():
            use(model)
    finally:
        shutil.copyfile(model_folder / name, model / name)


QUICK = Path(load_recipe.__code__.co_filename).parents[1] / "recipes" / "faithful.toml"


@few
@given(edits)
def test_recipes(folder, changes):
    path = folder / "recipe.toml"
    path.write_bytes(edited(QUICK.read_bytes(), changes))
    with one_line_at_most(changes):
        load_recipe(os.fspath(path))


CONFIG = b"""log-format = "text"
[localize]
min-face = 40
exclude = ["a*", "b"]
strict = true
[eval.speed]
repeats = 3
"""


@few
@given(edits)
def test_configurations(folder, changes):
    """With real commands, which make of a value what their options are; a wrong shard ends them before they work."""
    path = folder / "facetag.toml"
    path.write_bytes(edited(CONFIG, changes))
    said = io.StringIO()
    with redirect_stderr(said):
        code = cli.run(["--config", os.fspath(path), "localize", "a.jpg", "--out", "-", "--shard", "0/0"])
    assert code == ExitCode.USAGE and "Traceback" not in said.getvalue()
    assert changes or "--shard 0/0 is not i/n" in said.getvalue()


DOCUMENTS = {
    name: written(name, [
        ImageResult("a.jpg", Status.OK, "truncated", 64, 48, (FaceResult(
            Box(1.5, 2.0, 3.0, 4.0), 0.9, dict.fromkeys(NAMES, 0.25), NAMES[:1], NAMES[1:2]
        ),) * 2),
        ImageResult("b\n.jpg", Status.NO_FACE, "", 64, 48),
        ImageResult("c.jpg", Status.UNREADABLE, "not an image"),
    ])
    for name in READERS
}  # fmt: skip


@more
@given(st.sampled_from(sorted(DOCUMENTS)), edits)
def test_our_own_documents(folder, name, changes):
    path = folder / f"tags.{name}"
    path.write_bytes(edited(DOCUMENTS[name], changes))
    with one_line_at_most(changes):
        for record in read_records(os.fspath(path)):
            record_from_json(record_to_json(record))


BASIS = CacheKey("localize", "a model")
RECORD = ImageResult("a.jpg", Status.NO_FACE, "", 64, 48)


def use_journal(out):
    """Everything that a run asks of the journal beside its output, and then what merging does."""
    with Journal(next_to(out, ENDING), BASIS) as journal:
        journal.begin()
        for place, name in enumerate(("a.jpg", "b.jpg", "new.jpg")):
            known = journal.known(name)
            journal.answer_to(b"b" * 32)
            if known and known.source == Source(1, 2, b"a" * 32):
                journal.keep(place, name)
            else:
                journal.add(place, replace(RECORD, path=name), Source(1, 2, name[:1].encode() * 32))
        journal.add(3, ImageResult("gone.jpg", Status.UNREADABLE, "No such file"), None)
        journal.commit()
        journal.refuse_emptying(out)
        list(journal.records())
        journal.finish(4, "digest")
    part = read_part(out)
    check_parts([part])
    list(merged([part]))


@pytest.fixture(scope="module")
def journal(folder):
    """The journal of a finished run, beside where its output would be; and where to put a damaged one."""
    use_journal(os.fspath(folder / "valid.csv"))
    return folder / f"valid.csv{ENDING}"


@contextmanager
def damaged(journal, changes=True):
    out = journal.with_name("tags.csv")
    for path in journal.parent.glob("tags.csv.*"):
        path.unlink()
    shutil.copyfile(journal, next_to(os.fspath(out), ENDING))
    yield Path(next_to(os.fspath(out), ENDING))
    with one_line_at_most(changes):
        use_journal(os.fspath(out))


@some
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.sampled_from(WORDS) | st.binary(max_size=6)), max_size=6))
def test_journals_with_damaged_bytes(journal, changes):
    with damaged(journal, changes) as path:
        data = path.read_bytes()
        for at, new in changes:
            at %= len(data)
            data = (data[:at] + new + data[at + len(new) :])[: len(data)]
        path.write_bytes(data)


@few
@given(edits)
def test_torn_journals(journal, changes):
    with damaged(journal, changes) as path:
        path.write_bytes(edited(path.read_bytes(), changes))


CELLS = {"facts": ("name", "value"), "inputs": ("path", "size", "mtime_ns", "sha256", "key", "result", "decoder"),
         "seen": ("place", "path", "input", "failure")}  # fmt: skip
cells = st.one_of(*(st.tuples(st.just(table), st.sampled_from(names)) for table, names in CELLS.items()))


@some
@given(cells, st.integers(0, 5), st.sampled_from([None, -1, 0, 7, 0.5, "", "x", "{}", "[" * 3000]) | edits)
def test_journals_with_odd_values(journal, cell, row, value):
    """A database that is whole, and in which one value is another."""
    table, column = cell
    with damaged(journal) as path, closing(sqlite3.connect(path)) as base:
        old = base.execute(f"SELECT {column} FROM {table} LIMIT 1 OFFSET ?", (row,)).fetchone()
        if isinstance(value, list) and old and isinstance(old[0], str | bytes):
            value = edited(old[0].encode() if isinstance(old[0], str) else old[0], value)
            value = value.decode("utf-8", "replace") if isinstance(old[0], str) else value
        with suppress(sqlite3.Error), base:
            base.execute(
                f"UPDATE {table} SET {column} = ? WHERE rowid IN (SELECT rowid FROM {table} LIMIT 1 OFFSET ?)",
                (None if isinstance(value, list) else value, row),
            )


#: A sidecar with keywords and regions of somebody's own, as facetag left it.
SIDECAR = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/">
<dc:subject><rdf:Bag><rdf:li>Paris</rdf:li></rdf:Bag></dc:subject><mwg-rs:Regions rdf:parseType="Resource">
<mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource"><mwg-rs:Type>Face</mwg-rs:Type><mwg-rs:Area
 stArea:x="0.8" stArea:y="0.8" stArea:w="0.1" stArea:h="0.1"/></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@more
@given(edits)
def test_sidecars(folder, changes):
    path, face = folder / "photo.jpg.xmp", FaceResult(Box(1, 2, 30, 40), 0.9, {"Bald": 0.9}, ("Bald",))
    path.write_bytes(SIDECAR)
    tag_sidecar(os.fspath(path), ImageResult("photo.jpg", Status.OK, "", 64, 48, (face,)), 6)
    path.write_bytes(damaged := edited(path.read_bytes(), changes))
    with one_line_at_most(changes):
        untag_sidecar(os.fspath(path))
        damaged = path.read_bytes() if path.exists() else b""
        tag_sidecar(os.fspath(path), ImageResult("photo.jpg", Status.OK, "", 64, 48, (face,)), 6)
        damaged = path.read_bytes()
    assert not path.exists() or path.read_bytes() == damaged, "what is refused stays as it was"
