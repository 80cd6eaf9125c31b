"""The nets that a run folder holds, ready for use; each stage starts from those before it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from facetag.attributes import ATTRIBUTES
from facetag.localization.base import Localizer
from facetag.localization.center_localizer import CenterLocalizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model import Model, RespondingLNet
from facetag.networks.anet_heads import AttributeNet, build_anet
from facetag.networks.center_net import CenterNet
from facetag.networks.execution.layout import channels_last
from facetag.networks.teacher_net import TeacherNet
from facetag.training import checkpoint, finetune
from facetag.training.recipe import Recipe


def has_stage(run: Path, stage: str) -> bool:
    """Whether a stage has left a net."""
    return (run / stage / checkpoint.BEST).is_file()


def trained_lnet_o(run: Path, recipe: Recipe) -> RespondingLNet:
    """LNet_o of a run, ready for use."""
    return finetune.responding(run / "lnet_o", recipe.lnet, recipe.lnet_o, recipe.lnet_o.scenes.input_size)


def head_region_localizer(
    run: Path, recipe: Recipe, device: torch.device, input_sizes: tuple[int, ...] = (), half: bool = False
) -> LNetLocalizer:
    """A LNetLocalizer that finds heads alone: LNet_s is not trained yet, LNet_o stands in its place unused."""
    lnet_o = trained_lnet_o(run, recipe)
    settings = replace(recipe.localizer, input_sizes=input_sizes or recipe.localizer.input_sizes)
    return LNetLocalizer(_model(recipe, lnet_o, lnet_o), device, settings, half, alike=half)


def trained_localizer(run: Path, recipe: Recipe, device: torch.device, half: bool = False) -> LNetLocalizer:
    """Both LNets of a run with the recipe's localizer settings."""
    lnet_s = finetune.responding(run / "lnet_s", recipe.lnet, recipe.lnet_s, recipe.lnet_s.input_size)
    return LNetLocalizer(
        _model(recipe, trained_lnet_o(run, recipe), lnet_s), device, recipe.localizer, half, alike=half
    )


def trained_center_net(run: Path, recipe: Recipe, device: torch.device) -> CenterLocalizer:
    """The centre network of a run with the recipe's settings, folded, rounded to fp16 as it will be saved."""
    net = CenterNet(recipe.center_net.net)
    checkpoint.load_best(run / "center_net", net)
    folded = channels_last(net.eval().folded().half().float().requires_grad_(False))
    return CenterLocalizer(_model(recipe, center_net=folded), device, recipe.center_localizer)


def trained_face_localizer(run: Path, recipe: Recipe, device: torch.device) -> Localizer:
    """What finds faces in this recipe's model."""
    return (trained_center_net if recipe.localizer_kind == "center_net" else trained_localizer)(run, recipe, device)


def trained_attribute_net(run: Path, recipe: Recipe) -> AttributeNet:
    """The fine-tuned ANet of a run with its outputs."""
    net = AttributeNet(len(ATTRIBUTES), recipe.anet, recipe.anet_attributes.dropout)
    checkpoint.load_best(run / by_localizer("anet_attributes", recipe), net)
    return net.eval().requires_grad_(False)


def trained_teacher(run: Path, recipe: Recipe) -> TeacherNet:
    """The teacher of a run, which ANet learns from."""
    net = TeacherNet(len(ATTRIBUTES), recipe.teacher, recipe.anet_teacher.dropout)
    checkpoint.load_best(run / "anet_teacher", net)
    return channels_last(net.eval().requires_grad_(False))


def _model(
    recipe: Recipe,
    lnet_o: RespondingLNet | None = None,
    lnet_s: RespondingLNet | None = None,
    center_net: CenterNet | None = None,
) -> Model:
    """A model that only localizes, while the rest is not trained yet."""
    nothing = np.zeros(0)
    svm = LinearSVM(np.zeros((0, 1)), nothing, np.zeros(1), np.ones(1))
    decide = (svm, Calibration(nothing, nothing), nothing)
    return Model(recipe.name, lnet_o, lnet_s, build_anet(recipe.anet), *decide, center_net=center_net)


def by_localizer(name: str, recipe: Recipe) -> str:
    """What hangs on who finds the faces has a name of its own for each finder."""
    return name if recipe.localizer_kind == "lnets" else f"{name}_{recipe.localizer_kind}"
