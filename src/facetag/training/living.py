"""Which of ANet's units answer to faces: a unit behind a ReLU that is 0 for every face, or for none, says nothing."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from facetag.networks.anet import ANet, AttributeNet
from facetag.training.loop import to_input

RARE = 0.01  #: a unit lives when it is active on more of the faces than this, and is silent on more than this


def active_fractions(anet: ANet, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Fraction of the faces on which each unit is above 0, by layer: c3 (1200,), c4 (960,), fc (160,).

    Args:
        batches: faces (N, 3, 55, 47) in [0, 1].
    """
    counts: dict[str, Tensor] = {}
    faces = 0
    for images in batches:
        maps = anet.local(anet.shared(images))
        answers = {"c3": maps.c3, "c4": maps.c4, "fc": anet.features(maps)}
        for layer, answer in answers.items():
            active = (answer > 0).flatten(1).sum(0)
            counts[layer] = counts[layer] + active if layer in counts else active
        faces += len(images)
    return {layer: count.float() / faces for layer, count in counts.items()}


def living_units(anet: ANet, batches: Iterable[Tensor]) -> dict[str, float]:
    """Fraction of each layer's units that are active on 1 to 99 % of these faces: living_c3, living_c4, living_fc."""
    fractions = active_fractions(anet, batches)
    return {f"living_{layer}": float(_alive(fraction).float().mean()) for layer, fraction in fractions.items()}


def _alive(fractions: Tensor) -> Tensor:
    return (fractions >= RARE) & (fractions <= 1 - RARE)


@torch.no_grad()
def revive(net: AttributeNet, examples: Any, faces: int = 1024) -> int:
    """Start those units of FC anew that are silent on almost all of the examples; returns how many.

    Their weights are random, scaled as the living units' answers are, their bias makes half of the faces active, and
    the outputs do not see them yet: so the net answers as before but for what these few faces meant.
    """
    step = max(len(examples) // faces, 1)
    chosen = range(0, len(examples), step)[:faces]
    images = to_input(torch.stack([torch.from_numpy(examples[0, index][0]) for index in chosen]), torch.device("cpu"))
    anet, inputs = net.anet, []
    hook = anet.fc.register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
    active = (anet(images) > 0).float().mean(0)
    hook.remove()
    dead = active < RARE
    before = anet.fc(inputs[0])
    fresh = torch.empty_like(anet.fc.weight)
    nn.init.kaiming_normal_(fresh, nonlinearity="relu")
    answers = inputs[0] @ fresh.T
    fresh *= (before[:, ~dead].std(0).median() / answers.std(0))[:, None]
    anet.fc.weight[dead] = fresh[dead]
    anet.fc.bias[dead] = -(inputs[0] @ fresh.T).median(0).values[dead]
    net.outputs.weight[:, dead] = 0.0
    return int(dead.sum())
