from pathlib import Path

import cv2
import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.errors import DataError
from facetag.evaluate import report, robustness
from facetag.evaluate.attributes import FITTED
from facetag.evaluate.robustness import DISTURBANCES, measure_robustness
from facetag.images.resample import crop
from facetag.tagger import Tags

SIZE = len(ATTRIBUTES)
ROWS = {(one.kind, one.amount): one.apply for one in DISTURBANCES}


def smooth(seed: int = 0, height: int = 218, width: int = 178) -> np.ndarray:
    return cv2.resize(np.random.default_rng(seed).integers(0, 256, (7, 6, 3), np.uint8), (width, height))


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def seen(image, box, width=47, height=55):
    return crop(image, box, width, height).astype(int)


def test_the_box_goes_as_far_as_said_in_any_direction():
    places = []
    for seed in range(40):
        image, box = robustness.shifted(0.1)(smooth(), ALIGNED_FACE, chance(seed))
        across, down = (a - b for a, b in zip(box.center, ALIGNED_FACE.center, strict=True))
        assert np.hypot(across, down) == pytest.approx(0.1 * ALIGNED_FACE.height)
        assert (box.width, box.height) == (ALIGNED_FACE.width, ALIGNED_FACE.height)
        assert np.array_equal(image, smooth())
        places.append((across > 0, down > 0))
    assert len(set(places)) == 4


def test_a_picture_goes_one_way_however_far():
    near = robustness.shifted(0.1)(smooth(), ALIGNED_FACE, chance(5))[1]
    far = robustness.shifted(0.3)(smooth(), ALIGNED_FACE, chance(5))[1]
    assert far.x - ALIGNED_FACE.x == pytest.approx(3 * (near.x - ALIGNED_FACE.x))
    assert far.y - ALIGNED_FACE.y == pytest.approx(3 * (near.y - ALIGNED_FACE.y))


def test_the_box_grows_about_its_middle():
    _, box = robustness.scaled(1.4)(smooth(), ALIGNED_FACE, chance())
    assert box.center == pytest.approx(ALIGNED_FACE.center)
    assert box.height == pytest.approx(1.4 * ALIGNED_FACE.height)


def test_turning_by_nothing_changes_nothing_in_the_box():
    image, box = robustness.turned(0)(smooth(), ALIGNED_FACE, chance())
    assert np.array_equal(seen(image, box, 92, 116), seen(smooth(), ALIGNED_FACE, 92, 116))


def test_a_turned_picture_has_the_face_in_the_middle_turned_either_way():
    both = set()
    for seed in range(8):
        image, box = robustness.turned(20)(smooth(), ALIGNED_FACE, chance(seed))
        ways = [crop(smooth(), ALIGNED_FACE, 92, 116, turn).astype(int) for turn in (20, -20)]
        found = [np.abs(seen(image, box, 92, 116) - way).mean() < 1 for way in ways]
        assert sum(found) == 1
        both.add(found[0])
    assert both == {True, False}


@pytest.mark.parametrize("pixels", robustness.HEIGHTS)
def test_a_shrunk_face_is_as_high_as_said_and_in_the_same_place(pixels):
    image, box = robustness.shrunk(pixels)(smooth(), ALIGNED_FACE, chance())
    assert box.height == pytest.approx(pixels, rel=0.02)
    assert box.center[1] / image.shape[0] == pytest.approx(ALIGNED_FACE.center[1] / 218)
    assert np.abs(seen(image, box) - seen(smooth(), ALIGNED_FACE)).mean() < 12


def test_what_changes_the_picture_leaves_the_box_and_is_stronger_step_by_step():
    sharp = np.random.default_rng(1).integers(0, 256, (218, 178, 3), np.uint8)
    for make, amounts in ((robustness.blurred, robustness.SIGMAS), (robustness.jpeg, robustness.QUALITIES)):
        changes = []
        for amount in amounts:
            image, box = make(amount)(sharp, ALIGNED_FACE, chance())
            assert box == ALIGNED_FACE and image.shape == sharp.shape and image.dtype == np.uint8
            changes.append(np.abs(image.astype(int) - sharp).mean())
        assert changes[0] > 0 and changes == sorted(changes)
    image, box = robustness.colourless(sharp, ALIGNED_FACE, chance())
    assert box == ALIGNED_FACE and (image == image[..., :1]).all() and image.std() > 10


def test_the_first_row_is_undisturbed_and_no_two_are_alike():
    assert DISTURBANCES[0].kind == "undisturbed" and len(ROWS) == len(DISTURBANCES)
    image = smooth()
    same, box = DISTURBANCES[0].apply(image, ALIGNED_FACE, chance())
    assert same is image and box == ALIGNED_FACE


class TopTagger:
    """Every probability is the region's brightness; the region is the box's own pixels."""

    def __init__(self) -> None:
        self.most = 0

    def region(self, image, box):
        return crop(image, box, 10, 10)

    def __call__(self, regions):
        self.most = max(self.most, len(regions))
        probabilities = np.repeat([[region.mean() / 255] for region in regions], SIZE, axis=1)
        return Tags(probabilities, probabilities >= 0.5)


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    """White where the aligned box is, black elsewhere; every second the other way round."""
    paths = []
    for number in range(6):
        image = np.zeros((218, 178, 3), np.uint8)
        image[74:190, 43:135] = 255
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(cv2.imencode(".png", 255 - image if number % 2 else image)[1].tobytes())
    return paths


def test_rows_by_hand(pictures):
    labels = np.repeat(np.array([[1], [0]] * 3, np.int8), SIZE, axis=1)
    tagger, told = TopTagger(), []
    measured = measure_robustness(
        pictures, labels, np.full(SIZE, 0.2), tagger, progress=lambda *done: told.append(done)
    )
    rows = {(row.kind, row.amount): row for row in measured.rows}
    assert list(rows) == list(ROWS)
    assert measured.images == 6 and measured.majority == 0.5
    assert measured.rows[0].accuracy == measured.rows[0].average_precision == 1
    assert rows["box scaled", "x 1.3"].accuracy == 1
    assert rows["box scaled", "x 1.4"].accuracy == 1  # 1 / 1.96 of it is the white box
    assert tagger.most == 6
    assert told[-1] == (6 * len(DISTURBANCES),) * 2 and told == sorted(told)


def test_seeds_tell(pictures):
    labels = np.zeros((6, SIZE), np.int8)
    labels[::2] = 1

    class Shaky(TopTagger):
        def __call__(self, regions):
            probabilities = np.repeat([[region[0].mean() / 255] for region in regions], SIZE, axis=1)
            return Tags(probabilities, probabilities >= 0.5)

    first, again, other = (
        [row.accuracy for row in measure_robustness(pictures, labels, np.zeros(SIZE), Shaky(), seed).rows]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_without_pictures_there_is_nothing_to_say():
    with pytest.raises(DataError, match="no picture to disturb"):
        measure_robustness([], np.zeros((0, SIZE), np.int8), np.zeros(SIZE), TopTagger())


def robustness_report() -> robustness.RobustnessReport:
    rows = (
        robustness.Robustness("undisturbed", "", 0.9, 0.8, float("nan")),
        robustness.Robustness("blurred", "sigma 2 px", 0.8765, 0.80001, float("nan")),
    )
    return robustness.RobustnessReport(12, 0.75, rows)


def test_the_table_has_each_row_beside_the_undisturbed_one():
    (table,) = report.robustness_tables(robustness_report(), FITTED["val"])
    assert table.title.startswith("12 aligned pictures") and "accuracy is 75.0\ncareful: SVMs and" in table.title
    assert table.rows[0] == ("undisturbed", "90.0", "", "80.0", "", "-", "")
    assert table.rows[1] == ("blurred sigma 2 px", "87.6", "-2.4", "80.0", "+0.0", "-", "-")
    assert len(table.columns) == 7
    assert "\n" not in report.robustness_tables(robustness_report(), FITTED["test"])[0].title


def test_json():
    data = report.robustness_json(robustness_report())
    assert data["pictures"] == 12 and data["majority"] == 0.75
    assert data["disturbances"][1]["kind"] == "blurred" and data["disturbances"][1]["accuracy"] == 0.8765
