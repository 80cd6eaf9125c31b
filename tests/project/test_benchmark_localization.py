"""benchmarks/localization.py with rivals that the tests write; nothing is installed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import DataError, FacetagError
from facetag.evaluate.localization import Examined
from facetag.geometry import Box
from facetag.localization.base import Detection

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("benchmark_localization", ROOT / "benchmarks" / "localization.py")
benchmark = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = benchmark
spec.loader.exec_module(benchmark)

TRUTH = Box(40, 20, 64, 80)

#: Says that the face is a square inside the true box, and a worse one first; both darker pictures and lighter alike.
RIVAL = """
import json, sys
import numpy as np
for line in sys.stdin:
    picture = np.load(line.rstrip("\\n"))
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    print(json.dumps({"boxes": [[0, 0, 9, 9], [42, 30, 60, 60]], "scores": [0.25, 0.75], "seconds": 0.5}), flush=True)
"""


def examined(*boxes: tuple[Box, float], truths=(TRUTH,), name="a") -> Examined:
    return Examined(AnnotatedImage(Path(name), tuple(truths), "tune"), [Detection(*box) for box in boxes], 160)


@pytest.fixture
def photographs(tmp_path) -> list[AnnotatedImage]:
    found = []
    for seed in range(3):
        path = tmp_path / f"{seed}.png"
        noise = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8)
        path.write_bytes(cv2.imencode(".png", noise)[1].tobytes())
        found.append(AnnotatedImage(path, (TRUTH,), "tune"))
    return found


@pytest.fixture
def rival(tmp_path):
    script = tmp_path / "rival.py"
    script.write_text(RIVAL)
    with benchmark.Worker(Path(sys.executable), script, "any") as worker:
        yield worker


def test_the_convention_makes_steadily_wrong_boxes_right():
    wrong = [Box(10, 10, 50, 50), Box(100, 40, 30, 30), Box(7, 90, 80, 80)]
    truths = [
        Box.around(box.x + 0.6 * box.width, box.y + 0.7 * box.width, box.width, 1.25 * box.width) for box in wrong
    ]
    found = [examined((box, 0.5), truths=[truth]) for box, truth in zip(wrong, truths, strict=True)]
    settings = benchmark.fit(found)
    for one, truth in zip(benchmark.converted(found, settings), truths, strict=True):
        assert one.found[0].box.iou(truth) == pytest.approx(1)
        assert one.found[0].score == 0.5


def test_the_convention_is_of_surest_boxes_near_single_faces():
    right, astray = (TRUTH, 0.9), (Box(400, 300, 20, 20), 0.9)
    crowd = examined((Box(0, 0, 5, 5), 1.0), truths=(TRUTH, TRUTH))
    settings = benchmark.fit([examined(right), examined(right, astray), examined(astray), crowd, examined()])
    assert (settings.height, settings.right, settings.down) == pytest.approx((1, 0, 0))
    assert settings.ratio == pytest.approx(0.8)
    with pytest.raises(DataError, match="none of the faces"):
        benchmark.fit([examined(astray)])


def test_the_threshold_has_a_false_positive_in_ten_photographs():
    wrong = Box(0, 0, 5, 5)
    found = [examined((TRUTH, 0.9), name=str(i)) for i in range(8)]
    found += [examined((wrong, 0.8)), examined((TRUTH, 0.7)), examined((wrong, 0.6)), examined((TRUTH, 0.5))]
    assert benchmark.threshold(found) == 0.7  # one in twelve; two would be one in six
    assert benchmark.threshold([examined((wrong, 0.8))]) == float("inf")
    one = benchmark.figures(benchmark.LayersAndTruth(found, 6.0))
    assert one.speed == 2
    assert (one.report.single.empty, one.report.single.images) == (2, 12)
    at_half = benchmark.IOUS.index(0.5)
    assert one.report.single.kept[at_half] == one.report.single.at_rates[at_half, 2] == 9 / 12


@pytest.mark.process
def test_rivals_see_the_pixels_and_stand_beside_the_lnets(photographs, rival):
    def ours(images, files):
        assert [np.array_equal(np.load(file), image) for file, image in zip(files, images, strict=True)]
        return [[Detection(TRUTH, 0.9)] for _ in images], 0.25 * len(images)

    measured, conventions = benchmark.compare(photographs, photographs, {"LNets": ours}, {"rival": rival})
    assert list(measured) == ["LNets", "rival"] and list(conventions) == ["rival"]
    assert measured["LNets"].speed == 4 and measured["rival"].speed == 2
    shown = benchmark.table(measured, "title")
    rows = {name: cells for name, *cells in shown.rows}
    assert shown.columns == ("percent", "LNets", "rival")
    assert rows["one face: recall at IoU 0.7, 0.1 false positives an image"] == ["100.0", "100.0"]
    assert rows["one face: surest box centred in it, any score"] == ["100.0", "100.0"]
    assert rows["- 64 to 128 px (3)"] == ["100.0", "100.0"] and rows["- 0 to 16 px (0)"] == ["-", "-"]
    assert rows["images a second, times LNets's"] == ["1.00", "0.50"]
    written = json.loads(benchmark.to_json(benchmark.as_json(measured, conventions)))
    assert written["LNets"]["convention"] is None
    assert written["rival"]["convention"]["height"] == pytest.approx(80 / 60, rel=1e-4)
    assert written["rival"]["single"]["photographs"] == 3


@pytest.mark.process
def test_the_tuning_half_is_looked_at_by_rivals_alone(photographs, rival):
    seen = []

    def ours(images, files):
        seen.append(len(images))
        return [[] for _ in images], 1.0

    measured, conventions = benchmark.compare(photographs[:1], photographs[1:], {"LNets": ours}, {"rival": rival})
    assert sum(seen) == 2  # the one photograph, and one before that is not measured
    assert measured["rival"].report.single.images == 1 and conventions["rival"].ratio == pytest.approx(0.8)


@pytest.mark.process
def test_a_rival_that_ends_is_named(tmp_path, photographs):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(3)")
    with (
        benchmark.Worker(Path(sys.executable), script, "any") as worker,
        pytest.raises(FacetagError, match=r"^broken\.py any ended; "),
    ):
        benchmark.look(photographs, {"rival": worker})


def test_an_environment_is_made_once_and_again_for_other_versions(tmp_path, monkeypatch):
    ran = []

    def run(command, **_):
        ran.append([str(word) for word in command])
        (tmp_path / "rivals" / "small").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(subprocess, "run", run)
    for requirements in (("a==1",), ("a==1",), ("a==1", "b==2")):
        python = benchmark.python_of(benchmark.Environment("small", requirements), tmp_path / "rivals")
        assert python == tmp_path / "rivals" / "small" / "bin" / "python"
    assert [command[1:3] for command in ran] == [["-m", "venv"], ["-m", "pip"]] * 2
    assert ran[1][-1] == "a==1" and ran[3][-2:] == ["a==1", "b==2"]


def ask(script: str, variant: str, modules: dict[str, str], folder: Path, level: int = 0) -> dict:
    """What a worker answers for one picture with these modules in place of the rival's own."""
    for name, text in modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    np.save(folder / "picture.npy", np.full((50, 100, 3), level, np.uint8))
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "rivals" / script, variant], input=f"{folder / 'picture.npy'}\n",
        env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.process
def test_a_haar_box_is_as_sure_as_it_has_doubles(tmp_path):
    cv2_of_four = """
import numpy as np
COLOR_RGB2GRAY = 7
class data: haarcascades = "/cascades/"
def cvtColor(picture, code): return picture[..., 0]
def equalizeHist(grey): return grey
class CascadeClassifier:
    def __init__(self, path): assert path == "/cascades/haarcascade_frontalface_alt2.xml", path
    def detectMultiScale2(self, grey, minNeighbors, minSize):
        assert minNeighbors == 1 and minSize == (0, 0) and grey.shape == (50, 100)
        return (np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), np.array([2, 31])) if grey.any() else ((), ())
"""
    modules = {"cv2.py": cv2_of_four}
    answer = ask("haar.py", "frontalface_alt2", modules, tmp_path, level=9)
    assert (answer["boxes"], answer["scores"]) == ([[1, 2, 3, 4], [5, 6, 7, 8]], [2, 31])
    nothing = ask("haar.py", "frontalface_alt2", modules, tmp_path)
    assert (nothing["boxes"], nothing["scores"]) == ([], [])


@pytest.mark.process
def test_the_lbp_cascade_sees_a_larger_picture_and_answers_as_haar_does(tmp_path):
    cv2_of_four = """
import numpy as np
COLOR_RGB2GRAY, INTER_LINEAR = 7, 1
def resize(picture, size, fx, fy, interpolation):
    assert size is None and fx == fy == 2
    return picture.repeat(2, axis=0).repeat(2, axis=1)
def cvtColor(picture, code): return picture[..., 0]
def equalizeHist(grey): return grey
class CascadeClassifier:
    def __init__(self, path): self.path = path
    def empty(self): return self.path != "/cascades/lbp.xml"
    def detectMultiScale2(self, grey, minNeighbors, minSize):
        assert minNeighbors == 1 and minSize == (0, 0) and grey.shape == (100, 200)
        return (np.array([[2, 4, 46, 47]]), np.array([31])) if grey.any() else ((), ())
"""
    modules = {"cv2.py": cv2_of_four}
    answer = ask("lbp.py", "/cascades/lbp.xml", modules, tmp_path, level=9)
    assert (answer["boxes"], answer["scores"]) == ([[1, 2, 23, 23.5]], [31]) and answer["seconds"] > 0
    nothing = ask("lbp.py", "/cascades/lbp.xml", modules, tmp_path)
    assert (nothing["boxes"], nothing["scores"]) == ([], [])
    with pytest.raises(subprocess.CalledProcessError) as ended:
        ask("lbp.py", "/cascades/other.xml", modules, tmp_path)
    assert ended.value.stderr == "/cascades/other.xml is no cascade of OpenCV's\n"


@pytest.mark.process
@pytest.mark.parametrize("doublings", [1, 2])
def test_dlibs_scores_count_from_the_lowest_so_that_none_is_cut(tmp_path, doublings):
    dlib = f"""
class fhog_object_detector:
    def run(self, image, upsample_num_times, adjust_threshold):
        assert image.shape == (50, 100, 3) and upsample_num_times == {doublings} and adjust_threshold == -1
        return [Box()], [-0.75], [3]
class Box:
    def left(self): return -2
    def top(self): return 3
    def width(self): return 37
    def height(self): return 36
def get_frontal_face_detector(): return fhog_object_detector()
"""
    answer = ask("dlib_hog.py", str(doublings), {"dlib.py": dlib}, tmp_path)
    assert (answer["boxes"], answer["scores"]) == ([[-2, 3, 37, 36]], [0.25])


def test_a_rival_whose_file_no_package_has_takes_part_where_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("LBP_CASCADE", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "lbpcascade_frontalface_improved.xml"
    file.touch()  # being there is not enough, it has to be named
    assert "LBP" not in benchmark.told() and benchmark.told()["dlib"][1] == "1"
    remedy = f"make it the path of {file.name}, see benchmarks/README.md"
    with pytest.raises(FacetagError, match=f"^LBP_CASCADE is not set; {remedy}$"):
        benchmark.RIVALS["LBP"].word()
    monkeypatch.setenv("LBP_CASCADE", str(file))
    assert benchmark.told()["LBP"][1] == str(file)
    file.unlink()
    with pytest.raises(FacetagError, match=f"^LBP_CASCADE={file} is not there; {remedy}$"):
        benchmark.told()


@pytest.mark.process
def test_mediapipes_boxes_are_in_pixels_and_its_threshold_is_set_in_the_graph(tmp_path):
    solution = """
from types import SimpleNamespace as N
class SolutionBase:
    def __init__(self, binary_graph_path, calculator_params, outputs):
        assert binary_graph_path.endswith("face_detection_full_range_cpu.binarypb"), binary_graph_path
        (name, value), = calculator_params.items()
        assert name == "facedetectionfullrange__facedetection__TensorsToDetectionsCalculator.min_score_thresh", name
        assert value < 0.5 and outputs == ["detections"]
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def process(self, data):
        assert data["image"].shape == (50, 100, 3)
        box = N(xmin=0.5, ymin=0.5, width=0.25, height=0.5)
        return N(detections=[N(score=[0.75], location_data=N(relative_bounding_box=box))])
"""
    empty = ("mediapipe/__init__.py", "mediapipe/python/__init__.py")
    modules = {**dict.fromkeys(empty, ""), "mediapipe/python/solution_base.py": solution}
    answer = ask("mediapipe_faces.py", "full_range", modules, tmp_path)
    assert answer["boxes"] == [[50, 25, 25, 25]] and answer["scores"] == [0.75]
