import numpy as np
import pytest
import torch

from facetag.networks.anet import ANet, ANetSettings
from facetag.networks.wide_anet import WideANet
from facetag.training.living import living_units
from facetag.training.loop import to_input


class Noise:
    """Random face windows."""

    def __len__(self) -> int:
        return 128

    def __getitem__(self, place: tuple[int, int]) -> tuple[np.ndarray, int]:
        return np.random.default_rng(place).integers(0, 256, (55, 47, 3), np.uint8), 0


def images() -> torch.Tensor:
    faces = Noise()
    return to_input(torch.stack([torch.from_numpy(faces[0, index][0]) for index in range(128)]), torch.device("cpu"))


def test_units_that_are_silent_or_always_active_do_not_live() -> None:
    torch.manual_seed(0)
    anet = ANet(ANetSettings("c3_c4")).requires_grad_(False)
    before = living_units(anet, [images()])
    inputs: list[torch.Tensor] = []
    anet.fc.register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
    anet(images())
    anet.fc.weight[:40], anet.fc.bias[:40] = 0.0, -1.0  # dead
    anet.fc.weight[40:60], anet.fc.bias[40:60] = 0.0, 1.0  # says the same of every face
    active = (torch.relu(anet.fc(inputs[0])) > 0).float().mean(0)
    expected = float(((active >= 0.01) & (active <= 0.99)).float().mean())
    after = living_units(anet, images().split(50))
    assert after["living_fc"] == pytest.approx(expected) and after["living_fc"] <= 100 / 160
    assert set(after) == {"living_c3", "living_c4", "living_fc"}
    assert after["living_c3"] == before["living_c3"] and after["living_c4"] == before["living_c4"]
    anet.c4.requires_grad_(False)
    for parameter in anet.c4.parameters():
        parameter.fill_(-1.0)
    assert living_units(anet, [images()])["living_c4"] == 0.0


def test_units_of_a_wide_net_are_counted_in_its_middle_view() -> None:
    torch.manual_seed(0)
    anet = WideANet().eval().requires_grad_(False)
    regions = torch.rand(40, 3, 128, 112)
    living = living_units(anet, regions.split(16))
    active = (anet(regions) > 0).float().mean(0)
    assert living["living_fc"] == pytest.approx(float(((active >= 0.01) & (active <= 0.99)).float().mean()))
