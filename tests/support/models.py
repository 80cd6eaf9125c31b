"""A model folder of seeded random weights, small and quick, for tests that need a whole cascade and no training."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from facetag.attributes import ATTRIBUTES
from facetag.localization.center_localizer import CenterLocalizerSettings
from facetag.localization.lnet_localizer import LocalizerSettings
from facetag.localization.response_maps import PeakSettings
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model import Model, RespondingLNet
from facetag.networks.anet import FEATURES, ANet
from facetag.networks.center_net import CenterNet, CenterNetSettings
from facetag.networks.lnet import CHANNELS, LNet, LNetSettings
from facetag.settings import plain
from facetag.tagger import TaggerSettings

CARD = "# random\n\nRandom weights, for tests; must not be used for anything.\n"


def random_model(name: str = "random") -> Model:
    """Finds "faces" where a picture has contrast, and none in one that is all GREY."""
    rng = np.random.default_rng(7)
    peaks = PeakSettings(threshold=0.05, smooth=0.0, height=40, ratio=0.8)
    localizer = LocalizerSettings(
        input_sizes=(99, 195),
        crop_size=67,
        head_region=peaks,
        face=peaks,
        head_regions=3,
        score=0.55,
        nms_iou=0.7,  # random nets put their boxes close together
        nms_containment=1.0,
    )
    count = len(ATTRIBUTES)
    return Model(
        name=name,
        lnet_o=random_lnet(0),
        lnet_s=random_lnet(1),
        anet=random_anet(2),
        svm=LinearSVM(
            rng.normal(size=(count, FEATURES)).astype(np.float32),
            rng.normal(size=count).astype(np.float32),
            np.zeros(FEATURES, np.float32),
            np.full(FEATURES, 5, np.float32),
        ),
        calibration=Calibration(rng.uniform(0.5, 1, count), np.zeros(count)),
        thresholds=np.full(count, 0.5),
        localizer=plain(localizer),
        tagger=plain(TaggerSettings(radius=0, batch=8)),
        training={"recipe": "none"},
    )


def tiny_model() -> Model:
    """The random model with as little to do as a cascade can have: one head a picture, the smallest maps."""
    model = random_model("tiny")
    localizer = {**model.localizer, "input_sizes": [67], "head_regions": 1}
    return replace(model, localizer=localizer)


def center_model(name: str = "center_net") -> Model:
    """The random model behind a random centre network, which finds "faces" in any picture."""
    localizer = CenterLocalizerSettings(input_size=128, score=0.5, nms_iou=0.7, nms_containment=1.0)
    return replace(
        random_model(name), lnet_o=None, lnet_s=None, center_net=random_center_net(3), localizer=plain(localizer)
    )


#: A grey level that LNet takes for nothing at all: its mean.
GREY = 115


def random_lnet(seed: int) -> RespondingLNet:
    torch.manual_seed(seed)
    net = LNet(LNetSettings("folded"))
    for layer in net.layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    net = net.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return RespondingLNet(net, torch.full((CHANNELS,), 1 / CHANNELS))


#: The structure of a centre network as small as it can be.
NARROW = CenterNetSettings((4, 8, 8, 12, 12), (1, 1, 0), 8)


def random_center_net(seed: int) -> CenterNet:
    """For use, of weights that fp16 holds exactly; its logits wander around 0, its faces around 40 pixels."""
    torch.manual_seed(seed)
    net = CenterNet(NARROW).folded()
    nn.init.normal_(net.outputs.weight, std=0.2)
    with torch.no_grad():
        net.outputs.bias.copy_(torch.tensor([0.2, 0.0, 0.0, 0.3, 0.5]))
    return net.eval().half().float().requires_grad_(False).to(memory_format=torch.channels_last)


def random_anet(seed: int) -> ANet:
    torch.manual_seed(seed)
    return ANet().eval().requires_grad_(False)
