"""ANet's sizes, and the interweaved operation: one pass answers every window as if it had been cropped."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from facetag.networks.anet import (
    FEATURES,
    HEIGHT,
    WIDTH,
    ANet,
    ANetSettings,
    Maps,
    block_scores,
)
from facetag.networks.anet_heads import AttributeNet, IdentityNet


@pytest.fixture(scope="module", params=["c4", "c3_c4"])
def net(request):
    torch.manual_seed(7)
    net = ANet(ANetSettings(request.param)).eval()
    for layer in (net.c1, net.c2, net.c3, net.c4, net.fc):
        torch.nn.init.normal_(layer.bias, std=0.1)
    return net


@pytest.fixture(scope="module")
def double(net):
    return copy.deepcopy(net).double()


def patch(regions, step, i, j):
    return regions[..., i * step : i * step + HEIGHT, j * step : j * step + WIDTH]


def patch_by_patch(net, regions, step):
    """The slow way: crop each window and run the plain net as far as FC's inputs."""
    rows, columns = (regions.shape[2] - HEIGHT) // step + 1, (regions.shape[3] - WIDTH) // step + 1
    maps = [[net.local(net.shared(patch(regions, step, i, j))) for j in range(columns)] for i in range(rows)]
    return Maps(*(torch.stack([torch.stack([cell[part] for cell in row], 1) for row in maps], 1) for part in range(2)))


def test_sizes_of_every_stage():
    shapes = {}
    net = ANet()
    for name in ("c1", "c2", "c3", "c4", "fc"):
        getattr(net, name).register_forward_hook(
            lambda _, inputs, output, name=name: shapes.update({name: (inputs[0].shape[1:], output.shape[1:])})
        )
    assert net(torch.rand(2, 3, 55, 47)).shape == (2, FEATURES) == (2, 160)
    assert shapes == {
        "c1": ((3, 55, 47), (20, 52, 44)),
        "c2": ((20, 26, 22), (40, 24, 20)),
        "c3": ((40, 12, 10), (60, 5, 4)),  # pooled
        "c4": ((60, 5, 4), (80, 4, 3)),
        "fc": ((960,), (160,)),
    }
    assert net.c3.weight.shape[:2] == (5, 4) and net.c4.weight.shape[:2] == (4, 3)


@pytest.mark.parametrize(("inputs", "width"), [("c4", 960), ("c3_c4", 2160)])
def test_fc_takes_c4_or_pooled_c3_as_well(inputs, width):
    net = ANet(ANetSettings(inputs))
    assert net.fc.in_features == width
    maps = Maps(torch.rand(2, 60, 5, 4), torch.rand(2, 80, 4, 3))
    changed = Maps(maps.c3 + 1, maps.c4)
    assert torch.equal(net.features(maps), net.features(changed)) == (inputs == "c4")


def test_features_are_after_relu(net):
    features = net(torch.rand(8, 3, HEIGHT, WIDTH))
    assert features.min() == 0 and features.max() > 0


regions = st.tuples(st.integers(1, 2), st.integers(55, 90), st.integers(47, 80))


@examples(max_examples=15)
@given(shape=regions, step=st.sampled_from([4, 8]), seed=st.integers(0, 99))
def test_windows_are_crops_exactly_in_double(double, shape, step, seed):
    count, height, width = shape
    images = torch.rand(count, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        found, expected = double.windows(images, step), patch_by_patch(double, images, step)
    for part, slow in zip(found, expected, strict=True):
        torch.testing.assert_close(part, slow, rtol=1e-12, atol=1e-12)


@examples(max_examples=15)
@given(shape=regions, step=st.sampled_from([4, 8]), seed=st.integers(0, 99))
def test_features_of_windows_are_those_of_crops_in_single(net, shape, step, seed):
    count, height, width = shape
    images = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        maps = net.windows(images, step)
        rows, columns = maps.c4.shape[1:3]
        for i in range(rows):
            for j in range(columns):
                expected = net(patch(images, step, i, j))
                found = net.features(Maps(maps.c3[:, i, j], maps.c4[:, i, j]))
                assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@examples(max_examples=10)
@given(shape=regions, seed=st.integers(0, 99))
def test_the_papers_interweaved_maps_answer_the_same(double, shape, seed):
    count, height, width = shape
    images = torch.rand(count, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        reference = double.windows_reference(images)
        torch.testing.assert_close(reference, double.windows(images).c4, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(reference, patch_by_patch(double, images, 8).c4, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("height", "width", "step", "grid"), [
    (55, 47, 8, (1, 1)), (62, 54, 8, (1, 1)), (63, 55, 8, (2, 2)), (71, 63, 8, (3, 3)), (71, 63, 4, (5, 5)),
    (58, 51, 4, (1, 2)),
])  # fmt: skip
def test_number_of_windows(net, height, width, step, grid):
    maps = net.windows(torch.rand(1, 3, height, width), step)
    assert maps.c4.shape == (1, *grid, 80, 4, 3) and maps.c3.shape == (1, *grid, 60, 5, 4)


def test_windows_off_the_cells_of_c2_are_refused(net):
    with pytest.raises(AssertionError):
        net.windows(torch.rand(1, 3, 71, 63), step=6)


def test_windows_pass_gradients_to_every_parameter_but_fc(double):
    images = torch.rand(1, 3, 63, 55, dtype=torch.float64)
    maps = double.windows(images)
    loss = maps.c3.square().sum() + maps.c4.square().sum()
    local = [p for name, p in double.named_parameters() if not name.startswith("fc")]
    expected = sum(part.square().sum() for part in patch_by_patch(double, images, 8)[:2])
    for fast, slow in zip(torch.autograd.grad(loss, local), torch.autograd.grad(expected, local), strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)


def test_block_score_is_the_largest_response_of_the_block():
    c4 = torch.rand(2, 3, 2, 5, 4, 3)
    scores = block_scores(c4)
    assert scores.shape == (2, 3, 2)
    for n in range(2):
        for i in range(3):
            for j in range(2):
                assert float(scores[n, i, j]) == max(c4[n, i, j].flatten().tolist())


def test_heads_give_logits_and_features():
    torch.manual_seed(1)
    images = torch.rand(3, 3, HEIGHT, WIDTH)
    attributes = AttributeNet(40, ANetSettings(), dropout=0.5).eval()
    assert torch.equal(attributes(images), attributes.outputs(attributes.anet(images)))
    identities = IdentityNet(11, ANetSettings("c3_c4"), dropout=0.5)
    features, logits = identities(images)
    assert features.shape == (3, 160) and logits.shape == (3, 11)
    assert torch.equal(features, identities.anet(images)), "the similarity loss sees features before dropout"
    assert not torch.equal(attributes.train()(images), attributes(images))
