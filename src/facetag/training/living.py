"""Which of ANet's units answer to faces: a unit behind a ReLU that is 0 for every face, or for none, says nothing."""

from collections.abc import Iterable

import torch
from torch import Tensor

from facetag.networks.anet_heads import AnyANet

RARE = 0.01  #: a unit lives when it is active on more of the faces than this, and is silent on more than this


def active_fractions(anet: AnyANet, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Fraction of the faces on which each unit is above 0, by layer: c3 (1200,), c4 (960,), fc (160,).

    Args:
        batches: face regions (N, 3, H, W) in [0, 1], of the size that the net is trained on.
    """
    counts: dict[str, Tensor] = {}
    faces = 0
    for images in batches:
        center = torch.full((1, 2), anet.frame.margin // anet.frame.step)
        maps = anet.views(images, center, anet.frame.step).mapped(lambda part: part[:, 0])
        answers = {"c3": maps.c3, "c4": maps.c4, "fc": anet.features(maps)}
        for layer, answer in answers.items():
            active = (answer > 0).flatten(1).sum(0)
            counts[layer] = counts[layer] + active if layer in counts else active
        faces += len(images)
    return {layer: count.float() / faces for layer, count in counts.items()}


def living_units(anet: AnyANet, batches: Iterable[Tensor]) -> dict[str, float]:
    """Fraction of each layer's units that are active on 1 to 99 % of these faces: living_c3, living_c4, living_fc."""
    fractions = active_fractions(anet, batches)
    return {f"living_{layer}": float(_alive(fraction).float().mean()) for layer, fraction in fractions.items()}


def _alive(fractions: Tensor) -> Tensor:
    return (fractions >= RARE) & (fractions <= 1 - RARE)
