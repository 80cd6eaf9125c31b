"""What every localizer has, whichever net looks."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

import facetag
from facetag.errors import UsageError
from facetag.localization.base import Localizer
from facetag.localization.center_localizer import CenterLocalizer, localizer_of
from facetag.localization.lnet_localizer import LNetLocalizer
from models import center_model, random_model

SOURCES = Path(facetag.__file__).parent
MODELS = {"lnets": random_model, "center_net": center_model}
IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(params=MODELS)
def localizer(request):
    return localizer_of(MODELS[request.param]())


def test_nothing_else_asks_which_localizer_it_has():
    names = {"Localizer", "LNetLocalizer", "CenterLocalizer"}
    for path in SOURCES.rglob("*.py"):
        if path.parent.name == "localization":
            continue
        calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id == "isinstance":
                asked = {node.id for node in ast.walk(call.args[1]) if isinstance(node, ast.Name)}
                assert not asked & names, f"{path}:{call.lineno}"


def test_a_model_has_the_localizer_of_its_nets():
    assert isinstance(localizer_of(random_model()), LNetLocalizer)
    assert isinstance(localizer_of(center_model()), CenterLocalizer)


def test_all_dominant_and_every_are_of_one_detection(localizer):
    (every,), (found,) = localizer.detect([IMAGE], "every"), localizer.detect([IMAGE])
    assert found == [face for face in every if face.score >= localizer.settings.score] == localizer([IMAGE])[0]
    assert localizer.detect([IMAGE], "dominant") == localizer.dominant([IMAGE])
    assert localizer.every([IMAGE]) == [every] and len(localizer.dominant([IMAGE])[0]) == 1


def test_whoever_measures_is_told_the_stages(localizer):
    told = []

    def timed(stage):
        told.append(stage)
        return torch.inference_mode()

    localizer.detect([IMAGE], timed=timed)
    assert told == (["lnet_o", "lnet_s"] if isinstance(localizer, LNetLocalizer) else ["center_net"])


def test_what_a_localizer_gives_makes_a_model_again(localizer):
    fields = localizer.model_fields()
    assert {"lnet_o", "lnet_s"} <= set(fields) and localizer.precision() is torch.float32
    assert all(isinstance(tensor, torch.Tensor) for tensor in localizer.tensors())


def test_lnets_have_no_passes_to_add():
    with pytest.raises(UsageError, match="random has LNets; use --model fast"):
        LNetLocalizer(random_model()).thorough()


def test_heads_and_maps_are_of_lnets_alone(localizer):
    has_maps = isinstance(localizer, LNetLocalizer)
    (heads,) = Localizer.head_regions(localizer, [IMAGE]) if not has_maps else localizer.head_regions([IMAGE])
    assert bool(heads) is has_maps
    maps = localizer.responses(IMAGE, [face.box for face in heads], 60, 45)
    assert [each.shape for each in maps] == [(45, 60)] * (2 * has_maps)
