"""From face boxes to attributes: where the window lies, in which order the views come, and that nobody's answer
depends on who else is asked about."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from facetag.errors import DataError, ModelError, UsageError
from facetag.geometry import Box
from facetag.method.svm import LinearSVM
from facetag.method.views import best_anchor, view_offsets
from facetag.networks.anet import ANet, ANetSettings, block_scores
from facetag.tagger import FeatureExtractor, Tagger, TaggerSettings, face_regions, face_window
from facetag.training.recipe import load_recipe
from models import random_model

NINE = TaggerSettings()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(11)
    return ANet(ANetSettings("c3_c4")).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def regions():
    rng = np.random.default_rng(2)
    return list(rng.integers(0, 256, (40, 87, 79, 3), dtype=np.uint8))


def cut(region, margin):
    """The middle of a region of margin 16, at one scale: (1, H, W, 3)."""
    return np.ascontiguousarray(region[None, 16 - margin : 71 + margin, 16 - margin : 63 + margin])


def plain(net, patch):
    """The plain net on one 55 x 47 patch."""
    with torch.inference_mode():
        return net(torch.from_numpy(np.ascontiguousarray(patch)).permute(2, 0, 1)[None] / 255)[0].numpy()


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


boxes = st.builds(Box, st.floats(-50, 500), st.floats(-50, 500), st.floats(5, 300), st.floats(5, 300))


@given(boxes, st.floats(0.5, 2), st.floats(-0.3, 0.3))
def test_the_window_holds_the_box_about_its_middle(box, context, up):
    window = face_window(box, TaggerSettings(context=context, up=up))
    x, y = box.center
    assert window.center == pytest.approx((x, y - up * box.height), abs=1e-6)
    assert window.width / window.height == pytest.approx(47 / 55)
    tight = max(box.width / (47 / 55), box.height) * context
    assert window.height == pytest.approx(tight)


@pytest.mark.parametrize("margin", [0, 8, 16])
def test_a_box_of_the_windows_size_is_copied_with_its_margin(margin):
    image = np.random.default_rng(0).integers(0, 256, (120, 110, 3), dtype=np.uint8)
    (region,) = face_regions(image, Box(30, 28, 47, 55), TaggerSettings(radius=margin))
    np.testing.assert_array_equal(region, image[28 - margin : 83 + margin, 30 - margin : 77 + margin])


@examples(max_examples=30)
@given(st.floats(90, 210), st.floats(90, 210), st.floats(40, 120), st.floats(40, 120), st.sampled_from([0, 8, 16]))
def test_the_boxs_middle_is_the_regions_middle(x, y, width, height, margin):
    rows, columns = np.indices((300, 300)) + 0.5
    dot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 50)
    image = np.repeat(np.rint(dot).astype(np.uint8)[..., None], 3, axis=2)
    (region,) = face_regions(image, Box.around(x, y, width, height), TaggerSettings(radius=margin))
    region = region.astype(float).sum(2)
    assert region.shape == (55 + 2 * margin, 47 + 2 * margin)
    rows, columns = np.indices(region.shape) + 0.5
    middle = (columns * region).sum() / region.sum(), (rows * region).sum() / region.sum()
    assert middle == pytest.approx((region.shape[1] / 2, region.shape[0] / 2), abs=0.25)


def test_one_view_is_the_plain_net(net, regions):
    extract = FeatureExtractor(net, TaggerSettings(radius=0))
    found = extract([cut(region, 0) for region in regions[:5]])
    assert found.shape == (5, 160) and found.dtype == np.float32
    for features, region in zip(found, regions, strict=False):
        assert_close(features, plain(net, cut(region, 0)[0]))


@pytest.mark.parametrize(("step", "radius"), [(8, 8), (4, 4), (4, 8), (8, 16)])
def test_views_are_the_plain_net_on_crops_in_row_major_order(net, regions, step, radius):
    settings = TaggerSettings(step=step, radius=radius)
    (found,) = FeatureExtractor(net, settings)([cut(regions[0], radius)])
    offsets = view_offsets(radius, step)
    assert settings.width == found.size == 160 * len(offsets)
    views = [plain(net, regions[0][16 + dy : 71 + dy, 16 + dx : 63 + dx]) for dy, dx in offsets]
    assert_close(found, np.concatenate(views))
    (average,) = FeatureExtractor(net, replace(settings, combination="average"))([cut(regions[0], radius)])
    assert_close(average, np.mean(views, axis=0))


def test_mirrored_features_are_the_mean_of_both_sides(net, regions):
    plainly = TaggerSettings(combination="average")
    extract = FeatureExtractor(net, replace(plainly, mirror=True))
    straight = [region[None] for region in regions[:4]]
    flipped = [np.ascontiguousarray(region[:, :, ::-1]) for region in straight]
    sides = [FeatureExtractor(net, plainly)(part) for part in (straight, flipped)]
    assert not np.allclose(*sides)
    assert_close(extract(straight), np.mean(sides, axis=0))
    np.testing.assert_array_equal(extract(straight), extract(flipped))
    with pytest.raises(UsageError, match="averaged views"):
        TaggerSettings(mirror=True)


def test_a_searched_anchor_is_the_strongest_block(net, regions):
    """Eq. (5) by plain forwards: the anchor's views are those around it, not around the middle."""
    settings = TaggerSettings(radius=8, search=8)
    found = FeatureExtractor(net, settings)([region[None] for region in regions[:6]])
    moved = 0
    for features, region in zip(found, regions, strict=False):
        scores = np.zeros((5, 5))
        for i in range(5):
            for j in range(5):
                patch = torch.from_numpy(region[8 * i : 8 * i + 55, 8 * j : 8 * j + 47].copy()).permute(2, 0, 1)[None]
                c4 = net.local(net.shared(patch / 255)).c4
                scores[i, j] = float(block_scores(c4[:, None, None])[0, 0, 0])
        row, column = best_anchor(scores, 1)
        moved += (row, column) != (2, 2)
        views = [
            plain(net, region[8 * (row + i) :, 8 * (column + j) :][:55, :47]) for i in (-1, 0, 1) for j in (-1, 0, 1)
        ]
        assert_close(features, np.concatenate(views))
    assert moved


@pytest.mark.parametrize("combination", ["average", "concatenate"])
def test_views_of_several_scales_are_those_of_each(net, combination):
    image = np.random.default_rng(4).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    boxes = [Box.around(100, 100, side, side) for side in (60, 90)]
    settings = TaggerSettings(scales=(0.8, 1.0, 1.25), radius=8, combination=combination)
    found = FeatureExtractor(net, settings)([face_regions(image, box, settings) for box in boxes])
    alone = []
    for scale in settings.scales:
        single = replace(settings, scales=(1.0,), context=scale)
        alone.append(FeatureExtractor(net, single)([face_regions(image, box, single) for box in boxes]))
    assert found.shape == (2, settings.width)
    assert_close(found, np.mean(alone, axis=0) if combination == "average" else np.concatenate(alone, axis=1))
    assert not np.allclose(alone[0], alone[1], rtol=1e-3)


@pytest.mark.parametrize("scales", [(), (1.0, 0.0), (-1.0,), (float("nan"), 1.0), (float("inf"),)])
def test_scales_are_positive(scales):
    with pytest.raises(UsageError, match="positive"):
        TaggerSettings(scales=scales)


@pytest.fixture(scope="module")
def together(net, regions):
    return FeatureExtractor(net, NINE)([cut(region, 8) for region in regions])


@examples(max_examples=12)
@given(chosen=st.lists(st.integers(0, 39), min_size=1, max_size=40))
def test_no_answer_depends_on_its_companions(net, regions, together, chosen):
    """To the last bit: any number, any order, anybody twice."""
    found = FeatureExtractor(net, NINE)([cut(regions[index], 8) for index in chosen])
    np.testing.assert_array_equal(found, together[chosen])


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_another_fixed_batch_is_the_same_but_for_last_bits(net, regions, together, batch):
    assert_close(FeatureExtractor(net, replace(NINE, batch=batch))([cut(r, 8) for r in regions]), together)


def test_nobody_is_nobody(net):
    assert FeatureExtractor(net, NINE)([]).shape == (0, 1440)
    tags = Tagger(random_model())([])
    assert tags.probabilities.shape == tags.present.shape == (0, 40)


def test_probabilities_and_decisions(regions):
    model = random_model()
    tagger = Tagger(model)
    image = np.ascontiguousarray(np.vstack(regions[:3]))
    found = [tagger.region(image, Box(10, 87 * number + 5, 50, 60)) for number in range(3)]
    tags = tagger(found)
    features = np.stack([plain(model.anet, region) for (region,) in found])
    scores = (features - model.svm.mean) / model.svm.scale @ model.svm.weights.T + model.svm.bias
    expected = 1 / (1 + np.exp(-(model.calibration.slope * scores + model.calibration.intercept)))
    np.testing.assert_allclose(tags.probabilities, expected, atol=1e-4)
    np.testing.assert_array_equal(tags.present, tags.probabilities >= model.thresholds)
    assert tags.present.any() and not tags.present.all()


@pytest.mark.parametrize(
    "settings", [{"radius": 12}, {"radius": 4}, {"search": 4}, {"radius": -8}, {"step": 4, "search": 6}]
)
def test_views_between_steps_are_a_users_mistake(settings):
    with pytest.raises(UsageError, match="make the radius a multiple"):
        TaggerSettings(**settings)


def test_other_steps_fail_in_a_recipe(tmp_path):
    (tmp_path / "odd.toml").write_text("[tagger]\nstep = 6\nradius = 6")
    with pytest.raises(DataError, match=r"tagger\.step"):
        load_recipe(str(tmp_path / "odd.toml"))


def test_svms_of_other_features_are_refused():
    model = random_model()
    with pytest.raises(ModelError, match="other features"):
        Tagger(replace(model, tagger={"radius": 8}))
    wide = LinearSVM(np.zeros((40, 1440)), np.zeros(40), np.zeros(1440), np.ones(1440))
    assert Tagger(replace(model, tagger={"radius": 8}, svm=wide)).settings.width == 1440


@pytest.mark.gpu
def test_a_gpu_gives_the_same_features(net, regions, together):
    extract = FeatureExtractor(ANet(net.settings).eval(), NINE, torch.device("cuda"))
    extract.anet.load_state_dict(net.state_dict())
    found = extract([cut(region, 8) for region in regions])
    np.testing.assert_allclose(found, together, rtol=1e-2, atol=1e-2 * np.abs(together).max())
    np.testing.assert_array_equal(extract([cut(regions[3], 8)])[0], found[3])


@pytest.mark.parametrize(
    "settings",
    [
        {"search": 1_000_000},
        {"radius": 1_000_000},
        {"batch": 10**9},
        {"batch": 0},
        {"context": float("nan")},
        {"up": float("inf")},
        {"scales": (1e9,)},
        {"scales": (1.0,) * 1000},
    ],
)
def test_settings_that_memory_does_not_suffice_for_are_refused(settings):
    with pytest.raises(UsageError, match="out of range"):
        TaggerSettings(**settings)
