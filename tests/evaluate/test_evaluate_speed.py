import pytest
import torch
from torch import nn

from facetag.evaluate import speed
from facetag.evaluate.speed import compare, interweaved, measure_speed, medians, multiply_adds, patch_by_patch
from facetag.localization.center_localizer import CenterLocalizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.networks.anet import ANet, ANetSettings
from facetag.tagger import Tagger
from models import center_model, random_anet, random_model


@pytest.mark.parametrize(("height", "width", "shipped", "full"), [(71, 63, 2.38, 0.77), (300, 300, 3.30, 2.72)])
def test_counts_come_out_as_stated(height, width, shipped, full):
    counts = multiply_adds(ANet(), height, width)
    assert counts.patches / counts.shipped == pytest.approx(shipped, abs=0.005)
    assert counts.patches / counts.full_maps == pytest.approx(full, abs=0.005)


@pytest.mark.parametrize("fc_inputs", ["c4", "c3_c4"])
def test_counts_are_what_the_layers_do(fc_inputs):
    """A window alone is a patch; what the layers do on one is counted again from the shapes that they answer."""
    net = ANet(ANetSettings(fc_inputs))
    counted = 0

    def count(layer, _, answer):
        nonlocal counted
        counted += answer[0].numel() * layer.weight[0].numel()

    def count_local(layer, _, answer):
        nonlocal counted
        counted += answer[0].numel() * layer.cell**2 * layer.weight[0, 0, 0].numel()  # pooled over each cell

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    for layer in (net.c3, net.c4):
        layer.register_forward_hook(count_local)
    net(torch.rand(1, 3, 55, 47))
    counts = multiply_adds(net, 55, 47)
    assert counts.patches == counts.shipped == counted


def test_both_paths_answer_the_same_features(monkeypatch):
    monkeypatch.setattr(speed, "PATCHES", 5)
    net = random_anet(0)
    regions = torch.rand(2, 3, 72, 66)
    with torch.inference_mode():
        slow, fast = patch_by_patch(net, regions), interweaved(net, regions)
    assert slow.shape == fast.shape == (2 * 3 * 3, 160)
    assert torch.allclose(slow, fast, rtol=1e-5, atol=1e-6 * float(slow.max()))


def test_compare_measures_time_and_difference():
    found = compare(random_anet(0), "views", torch.rand(2, 3, 71, 63), repeats=1)
    assert found.windows == 9
    assert found.patches > 0 and found.shipped > 0
    assert 0 <= found.difference < 1e-5 and 0 <= found.full_difference < 1e-5


def test_a_wrong_path_shows_as_a_difference(monkeypatch):
    net = random_anet(0)
    right = net.windows_reference
    monkeypatch.setattr(net, "windows_reference", lambda regions: right(regions).flip(1))
    found = compare(net, "views", torch.rand(1, 3, 71, 63), repeats=1)
    assert found.full_difference > 0.01 > found.difference


def test_functions_take_turns_and_the_first_round_is_not_measured():
    calls = []
    times = medians([lambda: calls.append("a"), lambda: calls.append("b")], repeats=3)
    assert calls == ["a", "b"] * 4
    assert len(times) == 2 and all(taken >= 0 for taken in times)


def test_the_whole_report(monkeypatch):
    monkeypatch.setattr(speed, "IMAGE_SIZE", 90)
    model = random_model()
    report = measure_speed(LNetLocalizer(model), Tagger(model), speed.smooth_image(), repeats=1)
    assert [one.windows for one in report.comparisons] == [9, 5 * 6]
    assert report.device == "cpu" and report.threads == torch.get_num_threads()
    assert min(report.localization, report.features, report.features_alone) > 0
    assert report.heads == len(LNetLocalizer(model).head_regions([speed.smooth_image(90)])[0])


def test_the_report_of_a_centre_network_has_no_heads(monkeypatch):
    monkeypatch.setattr(speed, "IMAGE_SIZE", 90)
    model = center_model()
    report = measure_speed(CenterLocalizer(model), Tagger(model), speed.smooth_image(), repeats=1)
    assert report.heads == 0 and min(report.localization, report.features) > 0
