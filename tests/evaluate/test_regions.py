from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facetag.evaluate import regions
from facetag.method.svm import LinearSVM


def test_the_patch_that_a_score_hangs_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def layers(anet: object, images: torch.Tensor) -> dict[str, torch.Tensor]:
        corner = images[:, :, :4, -4:].mean((1, 2, 3))
        return {"fc": torch.stack([corner, images.mean((1, 2, 3))], 1)}

    monkeypatch.setattr(regions, "layers_of", layers)
    svm = LinearSVM(np.eye(2), np.zeros(2), np.zeros(2), np.ones(2))
    tagger = SimpleNamespace(model=SimpleNamespace(anet=None, svm=svm), extract=SimpleNamespace(device="cpu"))
    windows = np.random.default_rng(0).integers(0, 256, (30, 55, 47, 3), np.uint8)
    report = regions.measure_regions(tagger, windows)  # type: ignore[arg-type]
    right, down = report.strongest(0)
    assert right > 0.9 and down < 0.1
    assert report.concentration[0] == 1 and 0.25 < report.concentration[1] < 0.4
    assert report.effects[0, -1, 0] == 0 and report.mean_face.shape == (55, 47, 3)
