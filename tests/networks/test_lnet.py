"""LNet's geometry is what turns a response into a place, so it is held to the exact pixel."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from facetag.errors import UsageError
from facetag.networks import lnet
from facetag.networks.lnet import (
    CHANNELS,
    FIRST_CENTER,
    LAYERS,
    MIN_SIZE,
    STRIDE,
    ClassifyingLNet,
    Head,
    HeadSettings,
    LNet,
    LNetSettings,
    map_size,
    weighted_sum,
)

sides = st.integers(MIN_SIZE, 300)


THIN = tuple((4, *rest) for _, *rest in LAYERS)


@pytest.fixture(scope="module")
def thin():
    """An LNet of the same geometry with four filters a layer, positive weights, in double precision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lnet, "LAYERS", THIN)
        net = LNet(LNetSettings("folded")).double().eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=torch.float64) / 8 + 0.01)
    return net


def test_layers_are_the_papers():
    convolutions = [layer for layer in LNet().layers if isinstance(layer, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0], c.stride[0], c.padding[0], c.groups) for c in convolutions] == [
        (96, 11, 4, 0, 1), (256, 5, 1, 2, 1), (384, 3, 1, 1, 1), (384, 3, 1, 1, 1), (256, 3, 1, 1, 1),
    ]  # fmt: skip
    kinds = [type(layer).__name__ for layer in LNet().layers]
    assert kinds == (["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2 + ["Conv2d", "ReLU"] * 3)


@pytest.mark.parametrize(("side", "cells"), [(227, 13), (300, 17), (67, 3), (131, 7)])
def test_published_map_sides(side, cells):
    assert map_size(side) == cells


@pytest.mark.parametrize("normalisation", ["response", "batch", "folded"])
def test_h5_has_256_channels_and_no_negatives(normalisation):
    h5 = LNet(LNetSettings(normalisation)).eval()(torch.rand(2, 3, 67, 99))
    assert h5.shape == (2, 256, map_size(67), map_size(99))
    assert h5.min() >= 0 and h5.max() > 0


@examples(max_examples=30)
@given(height=sides, width=sides)
def test_map_side_of_any_shape(thin, height, width):
    with torch.no_grad():
        h5 = thin(torch.ones(1, 3, height, width, dtype=torch.float64))
    assert h5.shape[2:] == (map_size(height), map_size(width))


def reached(net, height, width, row, column):
    """Pixels that a cell's gradient reaches when every response passes: averages for maxima, all positive."""
    net = copy.deepcopy(net)
    pools = [index for index, layer in enumerate(net.layers) if isinstance(layer, nn.MaxPool2d)]
    assert len(pools) == 2
    for index in pools:
        net.layers[index] = nn.AvgPool2d(net.layers[index].kernel_size, net.layers[index].stride)
    images = torch.ones(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(images)[0, :, row, column].sum(), images)
    return gradient.abs().sum((0, 1)) > 0


FIELD = 163  # pixels that one cell sees


def field(cell, side):
    center = STRIDE * cell + FIRST_CENTER
    return max(center - FIELD // 2, 0), min(center + FIELD // 2 + 1, side)


def test_whole_field_is_163_pixels(thin):
    seen = reached(thin, 323, 323, 8, 7)
    assert seen.any(1).sum() == seen.any(0).sum() == FIELD == 163
    assert seen.any(1).nonzero()[0] == 16 * 8 + 17 - 81
    assert seen.any(0).nonzero()[0] == 16 * 7 + 17 - 81


@examples(max_examples=15)
@given(rows=st.integers(4, 16), columns=st.integers(4, 16), data=st.data())
def test_cell_k_sees_exactly_the_pixels_around_16k_plus_17(thin, rows, columns, data):
    height, width = 16 * rows + 3, 16 * columns + 3
    row, column = data.draw(st.integers(0, rows - 2)), data.draw(st.integers(0, columns - 2))
    expected = torch.zeros(height, width, dtype=torch.bool)
    expected[slice(*field(row, height)), slice(*field(column, width))] = True
    assert torch.equal(reached(thin, height, width, row, column), expected)


@examples(max_examples=15)
@given(side=sides, data=st.data())
def test_other_sides_only_lose_pixels_at_their_end(thin, side, data):
    cell = data.draw(st.integers(0, map_size(side) - 1))
    first, last = field(cell, side)
    seen = reached(thin, 67, side, 0, cell).any(0).nonzero()
    assert seen.min() == first
    assert seen.max() < last and seen.max() >= min(last, STRIDE * map_size(side) + 19) - 1


def test_maxima_see_no_pixel_outside_the_field(thin):
    """The net as it is, with max-pooling: what lies outside the field never matters, its corners do."""
    images = torch.rand(1, 3, 323, 323, dtype=torch.float64)
    first, last = 16 * 9 + 17 - 81, 16 * 9 + 17 + 81
    before = thin(images)[0, :, 9, 9]
    outside = images + 100 * torch.rand_like(images)
    outside[..., first : last + 1, first : last + 1] = images[..., first : last + 1, first : last + 1]
    assert torch.equal(thin(outside)[0, :, 9, 9], before)
    for y, x in ((first, first), (first, last), (last, first), (last, last)):
        corner = images.clone()
        corner[..., y, x] = 1e6
        assert (thin(corner)[0, :, 9, 9] > before).all()


@pytest.mark.parametrize("side", range(99, 132))
def test_only_sides_16n_plus_3_are_seen_alike_from_both_ends(thin, side):
    mirrored = copy.deepcopy(thin)
    for layer in mirrored.layers:
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.flip(3)
    images = torch.rand(1, 3, 67, side, dtype=torch.float64)
    same = torch.allclose(mirrored(images.flip(3)).flip(3), thin(images), rtol=1e-12)
    assert same == (side % 16 == 3)


def with_statistics(net):
    """Batch normalisation as if it had seen data."""
    for layer in net.layers:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.1, 3)
    return net


def test_folding_changes_nothing_in_evaluation(monkeypatch):
    monkeypatch.setattr(lnet, "LAYERS", THIN)
    torch.manual_seed(1)
    net = with_statistics(LNet(LNetSettings("batch"))).double().eval()
    folded = net.folded()
    assert folded.settings.normalisation == "folded" and not folded.training
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    images = torch.rand(2, 3, 83, 67, dtype=torch.float64)
    torch.testing.assert_close(folded(images), net(images), rtol=1e-12, atol=1e-12)


def test_folded_state_loads_into_a_folded_net():
    torch.manual_seed(2)
    folded = with_statistics(LNet(LNetSettings("batch"))).eval().folded()
    again = LNet(LNetSettings("folded")).eval()
    again.load_state_dict(folded.state_dict())
    images = torch.rand(1, 3, 67, 67)
    assert torch.equal(again(images), folded(images))


def test_folding_what_has_no_batch_normalisation_is_the_net_itself():
    net = LNet(LNetSettings("response"))
    assert net.folded() is net


def test_equal_weights_give_the_papers_average_of_the_channels():
    features = torch.rand(2, CHANNELS, 5, 4)
    torch.testing.assert_close(weighted_sum(features, torch.full((CHANNELS,), 1 / CHANNELS)), features.mean(1))


def test_weighted_sum_by_loops():
    features, weights = torch.randn(2, 3, 4, 5), torch.randn(3)
    sums = weighted_sum(features, weights)
    for n in range(2):
        for y in range(4):
            for x in range(5):
                value = sum(float(features[n, c, y, x] * weights[c]) for c in range(3))
                assert float(sums[n, y, x]) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("side", "width"), [(227, 256 * 6 * 6), (131, 256 * 3 * 3), (67, 256)])
def test_flatten_head_takes_c5s_pool(side, width):
    head = Head(7, HeadSettings(hidden=(8, 6), input_size=side)).eval()
    layers = [layer for layer in head.hidden if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(width, 8), (8, 6)]
    assert head(torch.rand(2, 256, map_size(side), map_size(side))).shape == (2, 7)


def test_paper_head_has_two_layers_of_4096_and_dropout():
    settings = HeadSettings()
    assert (settings.pooling, settings.hidden, settings.dropout, settings.input_size) == (
        "flatten",
        (4096, 4096),
        0.5,
        227,
    )


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_average_head_takes_any_size(hidden):
    net = ClassifyingLNet(3, LNetSettings("folded"), HeadSettings("average", hidden)).eval()
    for height, width in ((67, 67), (83, 131)):
        assert net(torch.rand(1, 3, height, width)).shape == (1, 3)


def test_class_activation_map_adds_up_to_the_logit():
    torch.manual_seed(3)
    head = Head(4, HeadSettings("average", (), dropout=0.5)).double().eval()
    features = torch.rand(3, CHANNELS, 5, 6, dtype=torch.float64)
    for output in range(4):
        response = weighted_sum(features, head.channel_weights(output))
        logit = response.mean((1, 2)) + head.outputs.bias[output]
        torch.testing.assert_close(logit, head(features)[:, output], rtol=1e-12, atol=1e-12)


@examples(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 5), st.floats(0.1, 60))
def test_peak_head_is_the_log_mean_exp_of_its_cells_by_hand(rows, columns, strength):
    head = Head(2, HeadSettings("peak", ())).double().eval()
    features = strength * torch.rand(3, CHANNELS, rows, columns, dtype=torch.float64)
    found = head(features).detach()
    assert found.shape == (3, 2)
    for n in range(3):
        for output in range(2):
            weights, bias = head.channel_weights(output), head.outputs.bias[output].item()
            cells = [
                float(features[n, :, row, column] @ weights) + bias for row in range(rows) for column in range(columns)
            ]
            largest = max(cells)
            mean = sum(math.exp(cell - largest) for cell in cells) / len(cells)
            assert float(found[n, output]) == pytest.approx(largest + math.log(mean), rel=1e-5, abs=1e-4)


def test_one_sure_cell_suffices_a_peak_head_and_learns_for_all():
    """The gradient of a logit goes to its cells by their share in the sum: softmax of their logits."""
    torch.manual_seed(6)
    head = Head(1, HeadSettings("peak", ())).double().eval()
    features = torch.rand(1, CHANNELS, 3, 4, dtype=torch.float64, requires_grad=True)
    cells = weighted_sum(features, head.channel_weights(0))
    (gradient,) = torch.autograd.grad(head(features).sum(), features)
    expected = cells.flatten().softmax(0).view(1, 1, 3, 4) * head.channel_weights(0)[None, :, None, None]
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7)
    with torch.no_grad():
        sure = features.clone()
        sure[0, :, 1, 2] += 1000 * head.channel_weights(0)
        peak = weighted_sum(sure, head.channel_weights(0)).max() + head.outputs.bias
        torch.testing.assert_close(head(sure)[0], (peak - math.log(12)).float(), rtol=1e-5, atol=1e-4)


def test_peak_head_takes_any_size_and_drops_in_training_alone():
    net = ClassifyingLNet(3, LNetSettings("folded"), HeadSettings("peak", (), dropout=0.5)).eval()
    for height, width in ((67, 67), (83, 131)):
        assert net(torch.rand(2, 3, height, width)).shape == (2, 3)
    features = torch.rand(1, CHANNELS, 3, 3)
    assert torch.equal(net.head(features), net.head(features))
    net.head.train()
    assert not torch.equal(net.head(features), net.head(features))


def test_peak_head_is_single_precision_whatever_its_features():
    head = Head(1, HeadSettings("peak", ())).bfloat16().eval()
    assert head(torch.rand(1, CHANNELS, 5, 5, dtype=torch.bfloat16)).dtype == torch.float32


def test_hidden_layers_under_a_peak_head_are_a_users_mistake():
    with pytest.raises(UsageError, match=r"no hidden layers .*set hidden = \[\]"):
        HeadSettings("peak")


@pytest.mark.parametrize("settings", [HeadSettings("average", (8,)), HeadSettings("flatten", (), input_size=67)])
def test_only_a_pooled_linear_head_has_a_class_activation_map(settings):
    with pytest.raises(AssertionError):
        Head(4, settings).channel_weights(0)


def test_dropout_works_in_training_alone():
    torch.manual_seed(4)
    settings = HeadSettings("average", (), dropout=0.5)
    for head in (Head(1, settings), Head(1, replace(settings, hidden=(64,)))):
        features = torch.rand(1, CHANNELS, 3, 3)
        assert not torch.equal(head(features), head(features))
        head.eval()
        assert torch.equal(head(features), head(features))
