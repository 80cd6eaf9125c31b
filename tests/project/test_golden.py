"""The shipped models answer as they did when golden.json was written: a retrained one loses no attribute unseen."""

import json
import re
from pathlib import Path

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


def test_the_example_of_the_readme_is_of_the_default_model() -> None:
    (face,) = json.loads(GOLDEN.read_text(encoding="utf-8"))["fast"]["astronaut.jpg"]
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^1,examples/photos/astronaut\.jpg,.*", readme, re.MULTILINE)
    shown = [float(number) for number in re.findall(r"(?<=,)\d+\.\d+", row)]
    probabilities = [face["probabilities"][name] for name in ("Bangs", "Male", "Smiling", "Young")]
    assert shown == pytest.approx([*face["box"], face["score"], *probabilities], abs=0.001)
