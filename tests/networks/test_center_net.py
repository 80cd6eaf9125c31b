"""The centre network: what folding keeps, the shapes that it takes, what it answers before it has learned anything."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from facetag.networks.center_net import DEEPEST, OUTPUTS, PRIOR, STRIDE, CenterNet, CenterNetSettings
from models import NARROW


def unsettled(settings: CenterNetSettings, seed: int = 0) -> CenterNet:
    """A net as training may leave it: every normalisation has its own mean, variance, scale and shift."""
    torch.manual_seed(seed)
    net = CenterNet(settings).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    nn.init.normal_(net.outputs.weight, std=0.3)
    return net


@pytest.mark.parametrize("settings", [CenterNetSettings(), NARROW])
def test_folded_answers_the_same(settings):
    net = unsettled(settings)
    folded = net.folded()
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected, found = net(images), folded(images)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_folding_leaves_the_net_as_it_was_and_no_normalisation_behind():
    net = unsettled(NARROW)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    folded = net.folded()
    assert net.settings == NARROW and folded.settings == replace(NARROW, normalisation="folded")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert folded.folded() is folded


def test_folded_weights_fit_the_net_that_is_made_folded():
    folded = unsettled(NARROW).folded().eval()
    made = CenterNet(folded.settings).eval()
    made.load_state_dict(folded.state_dict())
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(made(images), folded(images))


@examples(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 2))
def test_any_sides_that_are_multiples_of_32_have_a_cell_every_8_pixels(high, wide, number):
    net = CenterNet(NARROW).eval()
    with torch.inference_mode():
        maps = net(torch.rand(number, 3, DEEPEST * high, DEEPEST * wide))
    assert maps.shape == (number, OUTPUTS, DEEPEST * high // STRIDE, DEEPEST * wide // STRIDE)


def test_at_first_a_centre_is_rare_everywhere():
    """Else the first steps of training would be spent on saying that faces are rare."""
    torch.manual_seed(0)
    net = CenterNet().train()
    with torch.no_grad():
        chance = torch.sigmoid(net(torch.rand(4, 3, 128, 128))[:, 0])
    assert chance.mean() == pytest.approx(PRIOR, rel=0.2)
    assert chance.max() < 5 * PRIOR


def test_every_weight_of_the_net_is_taught():
    net = CenterNet(NARROW).train()
    net(torch.rand(2, 3, 64, 64)).square().sum().backward()
    assert [name for name, weight in net.named_parameters() if weight.grad is None] == []
