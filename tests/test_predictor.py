"""FaceTagger: the answers of `facetag predict`, from Python."""

import io
import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import facetag
from facetag import FaceTagger, cli
from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.errors import FacetagError, ImageTooLarge, ModelError, UnsupportedImage, UsageError
from facetag.formats.path_encoding import escape
from facetag.results import Status
from models import random_model

EXAMPLES = Path(__file__).parents[1] / "examples/photos"
ASTRONAUT = EXAMPLES / "astronaut.jpg"
PHOTOS = [*sorted(EXAMPLES.glob("*.jpg")), Path("large.jpg")]


@pytest.fixture(scope="module")
def tagger():
    return FaceTagger("fast", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The examples and one of 2,048 px, in a folder that is the current one."""
    folder = tmp_path_factory.mktemp("photos")
    for path in EXAMPLES.glob("*.jpg"):
        (folder / path.name).write_bytes(path.read_bytes())
    with Image.open(ASTRONAUT) as image:
        image.resize((2048, 2048), Image.Resampling.LANCZOS).save(folder / "large.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def written(folder):
    """What `facetag predict` writes of each photo, as lines of JSON by name."""
    out = folder / "tags.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.run(["predict", ".", "--device", "cpu", "--out", str(out), "-q"]) == 0
    return {json.loads(line)["path"]: line for line in out.read_text(encoding="utf-8").splitlines()}


def line(result):
    return json.dumps({**result.to_dict(), "path": escape(result.path)}, ensure_ascii=False)


def test_a_call_and_a_stream_answer_what_predict_writes(tagger, folder, written, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(written) == len(PHOTOS)
    assert {path: line(tagger(path)) for path in written} == written
    assert [line(result) for result in tagger.stream(["."])] == list(written.values())


def test_pixels_answer_nearly_what_their_file_does(tagger, folder):
    for path in (folder / photo.name for photo in PHOTOS):
        with Image.open(path) as image:
            seen = tagger(np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
        for face, other in itertools.zip_longest(tagger(path).faces, seen.faces):
            assert face.box.iou(other.box) >= 0.98
            assert max(abs(face.probabilities[name] - other.probabilities[name]) for name in ATTRIBUTES) <= 0.02


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK", "I;16"])
def test_bytes_and_pil_images_answer_what_their_file_does(tagger, tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    with Image.open(ASTRONAUT) as image:
        image.convert(mode).save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    expected = tagger(tmp_path / f"a.{suffix}").faces
    assert tagger(data).faces == expected
    if suffix == "png":
        assert expected or mode == "I;16"
        with Image.open(io.BytesIO(data)) as image:
            seen = FaceTagger(tagger.model, device="cpu")(image)
        assert [face.tags for face in seen.faces] == [face.tags for face in expected]


def test_a_pil_image_is_turned_by_its_exif_orientation(tagger):
    with Image.open(EXAMPLES / "astronaut_sideways.jpg") as image:
        assert image.getexif().get(274, 1) != 1
        (face,), (expected,) = tagger(image).faces, tagger(EXAMPLES / "astronaut_sideways.jpg").faces
    assert face.box.iou(expected.box) > 0.98


def test_grey_and_transparent_arrays_are_seen_as_their_colours(tagger):
    with Image.open(ASTRONAUT) as image:
        grey, colours = np.asarray(image.convert("L")), np.asarray(image.convert("RGB"))
    three = tagger(np.repeat(grey[:, :, None], 3, axis=2)).faces
    assert three and tagger(grey).faces == tagger(grey[:, :, None]).faces == three
    opaque = np.dstack([colours, np.full(grey.shape, 255, np.uint8)])
    assert tagger(opaque).faces == tagger(colours).faces
    assert tagger(np.dstack([colours, np.zeros_like(grey)])).status is Status.NO_FACE  # white


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((9, 9, 3)), r"array of float64 is not supported; scale it to 0\.\.255"),
        (np.zeros((9, 9, 2), np.uint8), r"array of 9 x 9 x 2 is no image; give RGB"),
        (np.zeros((0, 9, 3), np.uint8), "array of 0 x 9 x 3 is no image"),
        (17, "a int is no image; give a path, bytes, a PIL image or an array"),
    ],
)
def test_what_is_no_image_is_refused_in_a_line_and_is_a_result_of_a_stream(tagger, image, message):
    with pytest.raises(UnsupportedImage, match=message):
        tagger(image)
    (result,) = tagger.stream([image])
    assert result.status is Status.UNSUPPORTED and result.error


def test_larger_arrays_than_allowed_are_refused():
    tagger = FaceTagger(random_model(), device="cpu", max_pixels=50)
    with pytest.raises(ImageTooLarge, match="10x10 is over 50 pixels"):
        tagger(np.zeros((10, 10, 3), np.uint8))


def test_what_cannot_be_read_is_a_result(tagger, tmp_path):
    assert tagger(tmp_path / "none.jpg").status is Status.UNREADABLE
    assert tagger(b"none").error == "not an image"
    with pytest.raises(FacetagError, match="No such file"):
        tagger(tmp_path / "none.jpg").draw()


def test_a_stream_takes_any_mix_in_order(tagger, folder):
    with Image.open(ASTRONAUT) as image:
        image.load()
        mixed = [folder / "cat.jpg", image, "none.jpg", ASTRONAUT.read_bytes(), str(ASTRONAUT)]
        results = list(tagger.stream(mixed))
    said = [(Path(result.path).name, result.status) for result in results]
    ok = Status.OK
    assert said == [
        ("cat.jpg", Status.NO_FACE), ("", ok), ("none.jpg", Status.UNREADABLE), ("", ok), ("astronaut.jpg", ok)
    ]  # fmt: skip
    assert results[3].faces == results[4].faces


def test_a_stream_is_lazy_and_holds_no_pixels(tagger):
    endless = tagger.stream(itertools.repeat(np.zeros((32, 32, 3), np.uint8)))
    assert next(endless).status is Status.NO_FACE
    with pytest.raises(FacetagError, match="holds no pixels to draw on; pass the image"):
        next(endless).draw()
    endless.close()


def test_several_threads_may_call_one(tagger, folder):
    paths = [folder / photo.name for photo in PHOTOS] * 2
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(tagger, paths))
    assert together == [tagger(path) for path in paths]


def test_torch_keeps_its_threads():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        tagger = FaceTagger(random_model(), device="cpu", attributes=[])
        assert tagger.reading.inference_workers > 1
        seen = [torch.get_num_threads() for _ in tagger.stream([np.zeros((32, 32, 3), np.uint8)] * 3)]
        with ThreadPoolExecutor(1) as pool:
            assert {*seen, torch.get_num_threads(), pool.submit(torch.get_num_threads).result()} == {4}
    finally:
        torch.set_num_threads(threads)


def test_a_result_is_drawn_at_its_full_size(tagger, folder):
    result = tagger(folder / "large.jpg")
    drawn = np.asarray(result.draw())
    with Image.open(folder / "large.jpg") as image:
        plain = np.asarray(image.convert("RGB"))
    box = result.faces[0].box
    assert drawn.shape == plain.shape == (2048, 2048, 3)
    assert tuple(drawn[round(box.y + box.height / 2), round(box.x)]) == (80, 255, 80)
    np.testing.assert_array_equal(np.asarray(tagger(plain).draw().size), (2048, 2048))
    (streamed,) = tagger.stream(folder / "large.jpg")
    np.testing.assert_array_equal(np.asarray(streamed.draw()), drawn)


def test_attributes_thresholds_and_bands(tagger):
    (face,) = tagger(ASTRONAUT).faces
    assert tagger.attributes == ATTRIBUTES and face.probabilities["Smiling"] > 0.9
    chosen = FaceTagger(
        tagger.model,
        device="cpu",
        attributes=["smiling", "HAIR"],
        thresholds={"hair": 0.0, "Smiling": 0.9},
        unsure_bands={"young": (0.1, 0.2)},
    )
    (other,) = chosen(ASTRONAUT).faces
    assert chosen.attributes == tuple(name for name in ATTRIBUTES if name in (*GROUPS["hair"], "Smiling"))
    assert other.probabilities == {name: face.probabilities[name] for name in chosen.attributes}
    assert other.tags == chosen.attributes and other.box == face.box
    doubtful = FaceTagger(tagger.model, device="cpu", attributes=["makeup"], unsure_bands={"makeup": (0.0, 1.0)})
    (other,) = doubtful(ASTRONAUT).faces
    assert (other.tags, other.unsure) == ((), ("Heavy_Makeup", "Wearing_Lipstick"))


@pytest.mark.parametrize(("middle", "width"), [(0.7, 0.1), (0.2, 0.1), (1.0, 0.3)])
def test_a_width_lies_on_both_sides_of_every_threshold_and_ends_where_it_is_written(middle, width):
    tagging = FaceTagger(random_model(), device="cpu", thresholds={"Smiling": middle}, unsure=width).cascade.tag
    at = ATTRIBUTES.index("Smiling")
    assert (tagging.thresholds[at], tagging.unsure_from[at]) == (round(middle + width, 9), round(middle - width, 9))
    other = random_model().thresholds[0]
    assert (tagging.thresholds[0], tagging.unsure_from[0]) == (other + width, other - width)


def test_without_attributes_faces_are_only_located(tagger):
    located = FaceTagger(tagger.model, device="cpu", attributes=[])
    (face,), (tagged,) = located(ASTRONAUT).faces, tagger(ASTRONAUT).faces
    assert (face.box, face.score, face.probabilities) == (tagged.box, tagged.score, {})
    assert sorted(face.to_dict()) == ["height", "score", "width", "x", "y"]


def test_boxes_and_aligned_frames(tagger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.open(ASTRONAUT).save("a.png")
    Path("boxes.csv").write_text("file,x,y,width,height\na.png,170,60,100,130\n")
    (face,) = FaceTagger(tagger.model, device="cpu", boxes="boxes.csv")("a.png").faces
    assert (face.box.x, face.box.height, face.score) == (170, 130, 1)
    (face,) = FaceTagger(tagger.model, device="cpu", aligned=True)(np.zeros((218, 178, 3), np.uint8)).faces
    assert face.score == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attributes": ["Smilng"]}, "no attribute or group is called 'Smilng'; did you mean Smiling?"),
        ({"thresholds": {"Smiling": 1.5}}, r"1\.5 \.\. 1\.5 are no probabilities"),
        ({"unsure_bands": {"Smiling": (0.6, 0.4)}}, r"0\.6 \.\. 0\.4 are no probabilities"),
        ({"thresholds": {"Young": 0.5}, "unsure_bands": {"demographic": (0.1, 0.2)}}, "Young has both"),
        ({"faces": "most"}, "faces = 'most' is unknown"),
        ({"aligned": True, "faces": "dominant"}, "exclude each other"),
        ({"faces": "thorough"}, "has LNets; use --model fast"),
        ({"device": "tpu"}, "'tpu' is not a device"),
        ({"precision": "int8"}, "'int8' is not a precision"),
    ],
)
def test_what_does_not_fit_together_is_said(arguments, message):
    with pytest.raises(UsageError, match=message):
        FaceTagger(random_model(), **{"device": "cpu", **arguments})


def test_an_unknown_model_is_said():
    with pytest.raises(ModelError, match="no model at 'none'"):
        FaceTagger("none")


def test_results_are_read_back_and_become_a_table(tagger, folder, written):
    read = facetag.read_results(folder / "tags.jsonl")
    assert [line(result) for result in read] == list(written.values())
    with pytest.raises(FacetagError, match="was read from a file cannot be drawn"):
        read[0].draw()
    pandas = pytest.importorskip("pandas")
    table = facetag.to_dataframe(read)
    assert isinstance(table, pandas.DataFrame) and len(table) == len(read)
    assert list(table.columns[-40:]) == list(ATTRIBUTES)
    assert table["tags"][0] == read[0].faces[0].tags and table["faces"].tolist() == [
        max(len(each.faces), 0) for each in read for _ in each.faces or [None]
    ]
    assert "tags" not in facetag.to_dataframe(result for result in read if not result.faces)


def test_a_table_without_pandas_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"needs pandas; pip install 'facetag\[pandas\]'"):
        facetag.to_dataframe([])


def test_names_are_there_without_torch():
    code = "import sys, facetag; dir(facetag); facetag.ATTRIBUTES, facetag.ImageResult, facetag.read_results; "
    code += "assert not {'torch', 'numpy', 'PIL', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(facetag.__all__) <= set(dir(facetag))
    with pytest.raises(AttributeError, match="no attribute 'Tagger'"):
        facetag.Tagger  # noqa: B018
