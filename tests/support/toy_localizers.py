"""Localizers whose nets know what they answer: bright patches or cells, so that a test says where boxes must be."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from facetag.localization.lnet_localizer import LNetLocalizer, LocalizerSettings
from facetag.localization.response_maps import PeakSettings
from facetag.model import RespondingLNet
from facetag.networks import center_net
from facetag.networks.lnet import FIRST_CENTER, STRIDE, map_size
from models import random_model

INNER, OUTER = 49, 83


class Patches(nn.Module):
    """One channel, at pixel 16 k + 17: the mean of the 49 pixels around less that of the 83, the largest for a bright
    patch of about 49 pixels."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, images):
        self.batches.append(tuple(images.shape))
        grey = images.mean(1, keepdim=True)
        return mean_around(grey, INNER) - mean_around(grey, OUTER)


def mean_around(grey, side):
    reach = side // 2
    padded = F.pad(grey, (reach, reach, reach, reach), mode="replicate")[:, :, FIRST_CENTER:, FIRST_CENTER:]
    return F.avg_pool2d(padded, side, STRIDE)[:, :, : map_size(grey.shape[2]), : map_size(grey.shape[3])]


PEAKS = PeakSettings(height=56.0, ratio=1.0)
SETTINGS = LocalizerSettings(
    input_sizes=(38, 54, 76, 108, 152, 216, 304, 430, 608), crop_size=131, crop_scales=(0.84, 1.0, 1.19),
    head_region=PEAKS, face=PEAKS, around=2.5, score=0.0,
)  # fmt: skip
#: For images in which a patch is about as large as what the net answers.
FEW = replace(SETTINGS, input_sizes=(152, 216, 304), enlarge=9.0)

MODEL = random_model()


def patch_localizer(settings=FEW, weight=10.0, bias=0.0):
    patches = [RespondingLNet(Patches(), torch.tensor([weight]), bias) for _ in range(2)]
    return LNetLocalizer(replace(MODEL, lnet_o=patches[0], lnet_s=patches[1]), settings=settings)


def patch_scene(width, height, *boxes, level=255):
    """Patches on black, bright in their middle and half as bright at their edge."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.indices((height, width)) + 0.5
    for box in boxes:
        x, y = box.center
        away = np.maximum(np.abs(columns - x) / (box.width / 2), np.abs(rows - y) / (box.height / 2))
        image[away <= 1] = (level * (1 - away / 2))[away <= 1, None].astype(np.uint8)
    return image


TALL = 40.0  #: pixels of the net's input that it takes every face to be high
WIDE = 0.8  #: width of its faces over their height


class Bright(nn.Module):
    """Logit 10 for a middle in a cell that is white, -10 in one that is black; all faces are equally high."""

    def __init__(self, tall=TALL):
        super().__init__()
        self.tall, self.batches = tall, []

    def forward(self, images):
        self.batches.append(tuple(images.shape))
        grey = F.avg_pool2d(images.mean(1, keepdim=True), center_net.STRIDE)
        size = torch.full_like(grey, np.log(self.tall / center_net.STRIDE))
        nothing = torch.zeros_like(grey)
        return torch.cat([20 * grey - 10, nothing, nothing, size + np.log(WIDE), size], 1)


def flat_scene(width, height, *boxes, level=255):
    image = np.zeros((height, width, 3), np.uint8)
    for box in boxes:
        image[round(box.y) : round(box.bottom), round(box.x) : round(box.right)] = level
    return image
