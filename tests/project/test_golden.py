"""The shipped models answer as they did when golden.json was written: a retrained one loses no attribute unseen."""

import json

import pytest
from golden import GOLDEN, MODELS, answers

from facetag.geometry import Box

REMEDY = "if that is on purpose, run python tests/support/golden.py and read what it changes"


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_those_of_the_golden_file(model: str) -> None:
    found, expected = answers(model), json.loads(GOLDEN.read_text(encoding="utf-8"))[model]
    assert {name: len(faces) for name, faces in found.items()} == {name: len(faces) for name, faces in expected.items()}
    assert sum(map(len, expected.values())) >= 2  # the file is not empty
    for name, faces in expected.items():
        for now, before in zip(found[name], faces, strict=True):
            assert Box(*now["box"]).iou(Box(*before["box"])) > 0.98, f"{name}: the box moved; {REMEDY}"
            assert now["score"] == pytest.approx(before["score"], abs=0.02), f"{name}: {REMEDY}"
            assert now["probabilities"] == pytest.approx(before["probabilities"], abs=0.02), f"{name}: {REMEDY}"
