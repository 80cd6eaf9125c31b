from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facetag.evaluate import regions
from facetag.evaluate.labeled_faces import layers_of
from facetag.method.svm import LinearSVM
from facetag.networks.anet import ANet, ANetSettings
from facetag.networks.wide_anet import WideANet


def test_the_patch_that_a_score_hangs_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def layers(anet: object, images: torch.Tensor) -> dict[str, torch.Tensor]:
        corner = images[:, :, :4, -4:].mean((1, 2, 3))
        return {"fc": torch.stack([corner, images.mean((1, 2, 3))], 1)}

    def influence(*_: object) -> np.ndarray:
        return np.tile(np.linspace(1, 2, regions.COLUMNS), (2, regions.ROWS, 1))

    monkeypatch.setattr(regions, "layers_of", layers)
    monkeypatch.setattr(regions, "influence_of", influence)
    svm = LinearSVM(np.eye(2), np.zeros(2), np.zeros(2), np.ones(2))
    tagger = SimpleNamespace(model=SimpleNamespace(anet=None, svm=svm), extract=SimpleNamespace(device="cpu"))
    windows = np.random.default_rng(0).integers(0, 256, (30, 55, 47, 3), np.uint8)
    report = regions.measure_regions(tagger, windows)  # type: ignore[arg-type]
    right, down = report.strongest(0)
    assert right > 0.9 and down < 0.1
    assert report.concentration[0] == 1 and 0.25 < report.concentration[1] < 0.4
    assert report.effects[0, -1, 0] == 0 and report.mean_face.shape == (55, 47, 3)
    assert 0.05 < report.agreement[0] < 0.5  # one corner alone counts, and it is on the right


@pytest.mark.parametrize("wide", [False, True])
def test_influence_lies_where_the_weights_lead(wide: bool) -> None:
    torch.manual_seed(0)
    anet = WideANet().eval().folded() if wide else ANet(ANetSettings(fc_inputs="c3_c4"))
    anet.eval().requires_grad_(False)
    high, across = (128, 112) if wide else (55, 47)
    answers = {name: each.numpy() for name, each in layers_of(anet, torch.rand(12, 3, high, across)).items()}
    parts = anet.fc_weights()
    rebuilt = torch.cat([part.flatten(1) for part in parts if part is not None], 1)
    assert torch.equal(rebuilt, (anet.fc[0] if wide else anet.fc).weight)  # type: ignore[index]
    for part in parts:
        if part is not None:
            part.zero_()  # of the net itself: these are views of its weights
    parts.c3[:, :, 4, 0] = 1.0  # the lower left of the view
    svm = LinearSVM(np.ones((1, 160)), np.zeros(1), np.zeros(160), np.ones(160))
    answers["fc"] = np.abs(answers["fc"]) + 1
    influence = regions.influence_of(anet, svm, answers)[0]
    assert influence.sum() == pytest.approx(1)
    row, column = np.unravel_index(influence.argmax(), influence.shape)
    assert row >= 5 and column <= 1 and influence[:3].sum() == pytest.approx(0, abs=1e-6)
    assert influence[:, :2].sum() > influence[:, 3:].sum()
    assert (influence[-1].sum() < influence[-2].sum()) == wide  # the wide net's view ends before its window does
