"""The model folder: load, verify, save. The only reader and writer of weights.

    models/<name>/  lnet_o, lnet_s, anet, svm .safetensors   model.json   CARD.md
    models/<name>/  center_net, anet, svm .safetensors          model.json   CARD.md

Loading runs no code: weights are safetensors, everything else is JSON.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.errors import DataError, ModelError, UsageError, writing
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model_folder import (
    DEFAULT,
    FORMAT,
    attributes_of,
    description_digest,
    find_model,
    read_description,
    verify_model,
    weight_files,
)
from facetag.networks.anet import ANetSettings
from facetag.networks.anet_heads import AnyANet, build_anet
from facetag.networks.center_net import CenterNet, CenterNetSettings
from facetag.networks.execution.layout import channels_last
from facetag.networks.lnet import CHANNELS, LNet, LNetSettings
from facetag.settings import plain, settings_from, with_new_keys

_HALF = 65504.0  #: the largest number of fp16, as which nets are saved
_SMALLEST = 1e-12  #: of what SVM weights are divided by

#: What reading a folder that does not hold a model may raise.
_MALFORMED = (
    AssertionError, DataError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, UsageError, ValueError,
    safetensors.SafetensorError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RespondingLNet:
    """An LNet ready for use: normalisation folded, head dropped, and the channel weights of its response map.

    Attributes:
        net: in evaluation mode.
        weights: (256,) of the response map.
        bias: added to a response, gives the head's logit of "any attribute" for what lies there.
    """

    net: LNet
    weights: Tensor
    bias: float = 0.0


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that predicting needs.

    Attributes:
        name: of the folder.
        attributes: names of what the SVMs answer, in their order.
        groups: of attributes, by name.
        lnet_o, lnet_s: what finds faces; None where a centre network does.
        center_net: what finds faces in their place, ready for use; None where the LNets do.
        thresholds: (A,) probabilities from which an attribute is present.
        localizer, tagger: settings of those stages, as plain data.
        training: how it was made: recipe, data counts, figures.
        fingerprint: SHA-256 over all weights and model.json; empty for a model that was never saved.
    """

    name: str
    lnet_o: RespondingLNet | None
    lnet_s: RespondingLNet | None
    anet: AnyANet
    svm: LinearSVM
    calibration: Calibration
    thresholds: NDArray[np.float64]
    localizer: Mapping[str, Any] = field(default_factory=dict)
    tagger: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    center_net: CenterNet | None = None
    attributes: tuple[str, ...] = ATTRIBUTES
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: GROUPS)

    def __post_init__(self) -> None:
        assert (self.center_net is None) == (self.lnet_o is not None) == (self.lnet_s is not None)


def load_model(name_or_folder: str = DEFAULT) -> Model:
    """Read and verify a model folder.

    Raises:
        ModelError: it is missing, incomplete, altered, of another version, or not a model.
    """
    folder = find_model(name_or_folder)
    description = read_description(folder)
    try:
        verify_model(folder, description)
        return _assemble(folder, _renamed(description))
    except _MALFORMED as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{folder} is not a facetag model ({reason})", "install facetag again or train it anew"
        ) from error


def _renamed(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """A description of the first format with settings called as they are now."""
    if description["format"] != 1:
        return description
    settings = {name: with_new_keys(value, name) for name, value in description.items() if isinstance(value, dict)}
    return {**description, **settings, "groups": description.get("groups", {}), "sha256": description.get("sha256")}


def _assemble(folder: Path, description: Mapping[str, Any]) -> Model:
    svm = {name: tensor.numpy() for name, tensor in _tensors(folder / "svm.safetensors", inf).items()}
    attributes, groups = attributes_of(description)
    count = len(attributes)
    if svm["weights"].shape[0] != count:
        raise ValueError(f"its SVMs are not of its {count} attributes")
    if not (svm["scale"] > _SMALLEST).all():
        raise ValueError("its SVMs' scale is not positive")
    return Model(
        name=description["name"],
        **_load_localizer_nets(folder, description),
        anet=_load_anet(folder / "anet.safetensors", description["anet"]),
        svm=LinearSVM(svm["weights"], _per_attribute(svm["bias"], count), svm["mean"], svm["scale"]),
        calibration=Calibration(*(_per_attribute(description[name], count) for name in ("slope", "intercept"))),
        thresholds=_per_attribute(description["thresholds"], count),
        attributes=attributes,
        groups=groups,
        localizer=description["localizer"],
        tagger=description["tagger"],
        training=description["training"],
        fingerprint=hashlib.sha256((folder / "model.json").read_bytes()).hexdigest(),
    )


def _tensors(path: Path, largest: float = _HALF) -> dict[str, Tensor]:
    """The tensors of a weight file, float32. What is not finite, or would not stay so in a forward pass, would answer
    nothing in silence.

    Raises:
        ValueError: a number in it is out of range.
    """
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    for name, tensor in tensors.items():
        if not (torch.isfinite(tensor).all() and (tensor.abs() <= largest).all()):
            raise ValueError(f"{path.name} holds numbers that are no weights")
        if name.endswith("running_var") and (tensor < 0).any():
            raise ValueError(f"{path.name} holds a negative variance")
    return tensors


def _per_attribute(values: Any, count: int) -> NDArray[np.float64]:
    """One finite number an attribute: what is compared with an array of another shape may be broadcast in silence."""
    numbers = np.array(values, np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{count} finite numbers are needed, one an attribute")
    return numbers


def _load_localizer_nets(folder: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of Model that find faces."""
    if "center_net" in description:
        net = _load_center_net(folder / "center_net.safetensors", description["center_net"])
        return {"lnet_o": None, "lnet_s": None, "center_net": net}
    return {name: _load_lnet(folder / f"{name}.safetensors", description[name]) for name in ("lnet_o", "lnet_s")}


def _load_center_net(path: Path, values: Mapping[str, Any]) -> CenterNet:
    net = CenterNet(settings_from(CenterNetSettings, values["settings"], "model.json"))
    net.load_state_dict(_tensors(path))
    return channels_last(net.eval().requires_grad_(False))


def _load_lnet(path: Path, values: Mapping[str, Any]) -> RespondingLNet:
    tensors = _tensors(path)
    weights = tensors.pop("response_weights")
    if weights.shape != (CHANNELS,):
        raise ValueError(f"{path.name} does not weight the {CHANNELS} channels of C5")
    net = LNet(settings_from(LNetSettings, values["settings"], "model.json"))
    net.load_state_dict(tensors)
    bias = float(values["bias"])
    if not isfinite(bias):
        raise ValueError(f"the bias of {path.stem} is not finite")
    return RespondingLNet(channels_last(net.eval().requires_grad_(False)), weights, bias)


def _load_anet(path: Path, values: Mapping[str, Any]) -> AnyANet:
    net = build_anet(settings_from(ANetSettings, values["settings"], "model.json"))
    net.load_state_dict(_tensors(path))
    net.eval().requires_grad_(False)
    return channels_last(net) if net.settings.kind == "wide" else net


def save_model(model: Model, folder: Path, card: str) -> None:
    """Write a model folder: weights as fp16 safetensors, model.json last, so that half a folder is never a model.

    Raises:
        FacetagError: it cannot be written.
    """
    with writing(folder):
        _write(model, folder, card)


def _write(model: Model, folder: Path, card: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").unlink(missing_ok=True)
    for name, lnet in _lnets(model).items():
        _save_half(folder / f"{name}.safetensors", {**lnet.net.state_dict(), "response_weights": lnet.weights})
    if model.center_net is not None:
        _save_half(folder / "center_net.safetensors", model.center_net.state_dict())
    _save_half(folder / "anet.safetensors", model.anet.state_dict())
    # The SVMs stay float32: their standardised weights are a small file, and small differences of large sums.
    svm = {
        name: torch.tensor(np.asarray(getattr(model.svm, name), np.float32))
        for name in ("weights", "bias", "mean", "scale")
    }
    (folder / "svm.safetensors").write_bytes(save(svm))
    (folder / "CARD.md").write_text(card, encoding="utf-8")
    (folder / "model.json").write_text(json.dumps(_describe(model, folder), indent=1) + "\n", encoding="utf-8")


def _lnets(model: Model) -> dict[str, RespondingLNet]:
    named = {"lnet_o": model.lnet_o, "lnet_s": model.lnet_s}
    return {name: lnet for name, lnet in named.items() if lnet is not None}


def _save_half(path: Path, tensors: Mapping[str, Tensor]) -> None:
    halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    assert all(torch.isfinite(half).all() for half in halves.values()), "weights must fit fp16"
    path.write_bytes(save(halves))  # save_file would make a file that nobody else may read


def _describe(model: Model, folder: Path) -> dict[str, Any]:
    description: dict[str, Any] = {
        "format": FORMAT,
        "name": model.name,
        "attributes": list(model.attributes),
        "groups": {name: list(members) for name, members in model.groups.items()},
        **{name: {"settings": plain(lnet.net.settings), "bias": lnet.bias} for name, lnet in _lnets(model).items()},
        **({} if model.center_net is None else {"center_net": {"settings": plain(model.center_net.settings)}}),
        "anet": {"settings": plain(model.anet.settings)},
        "localizer": dict(model.localizer),
        "tagger": dict(model.tagger),
        "thresholds": [round(float(value), 6) for value in model.thresholds],
        "slope": [float(value) for value in model.calibration.slope],
        "intercept": [float(value) for value in model.calibration.intercept],
        "training": dict(model.training),
    }
    names = weight_files(description)
    description["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    description["sha256"]["model.json"] = description_digest(description)
    return description
