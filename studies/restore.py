"""Makes a run folder of what is kept in models/ and in this folder, so that single stages can be trained again.

python studies/restore.py --run runs/restored
python studies/restore.py --run runs/objects --nets objects
python studies/restore.py --run runs/boxes --center-net fast

The centre network and its ANet are those of `fast-box-free`, with which a training of `fast` begins, or those of
`fast`. LNet+, the ANet right after identities, the centre network and its ANet are as they were trained, but for
fp16; the teacher that was tried is not kept (`facetag finetune teacher`). LNet_o and LNet_s are kept folded only:
they answer as before, and are no start for more training. A stage that the folder has already is left alone. LNets
and the ANet on their faces are those of `faithful`; `objects` are older LNets, which start from LNet+, and the ANet
that was trained on their faces; figures.json has the convention of these LNets for a recipe.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from facetag.attributes import ATTRIBUTES
from facetag.networks.anet_heads import AttributeNet
from facetag.networks.center_net import CenterNet
from facetag.networks.lnet import ClassifyingLNet
from facetag.training.checkpoint import keep_record, save_best
from facetag.training.finetune import ANY, OUTPUTS
from facetag.training.recipe import load_recipe
from facetag.training.train_center_net import BOXES
from facetag.training.trained import has_stage

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
LNETS = ("lnet_o", "lnet_s")


def floats(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, halves as floats."""
    return {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}


def unfold(net: nn.Module, folded: Mapping[str, Tensor]) -> None:
    """Fill an LNet that has batch normalisation so that, in use, it answers as the folded one."""
    layers = list(net.get_submodule("layers").children())
    kept = sorted({int(name.split(".")[1]) for name in folded if name.startswith("layers.")})
    places = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        for old, place in zip(kept, places, strict=True):
            norm = layers[place + 1]
            assert isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
            layers[place].weight.copy_(folded[f"layers.{old}.weight"])
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(folded[f"layers.{old}.bias"])


def lnet(name: str, recipe: Any, folded: Path, heads: Mapping[str, Tensor]) -> nn.Module:
    """LNet_o or LNet_s with its head."""
    net = ClassifyingLNet(OUTPUTS, recipe.lnet, getattr(recipe, name).head)
    unfold(net.lnet, floats(folded))
    net.head.load_state_dict({key.removeprefix(name + "."): t for key, t in heads.items() if key.startswith(name)})
    return net


def shipped() -> dict[str, nn.Module]:
    """The LNets of `faithful`, whose model.json has the bias that they ship with, and the ANet on their faces."""
    recipe, heads = load_recipe("faithful"), floats(HERE / "heads.safetensors")
    for name in LNETS:
        heads[f"{name}.outputs.bias"][ANY] = record("faithful")[name]["bias"]
    nets = {name: lnet(name, recipe, MODELS / "faithful" / f"{name}.safetensors", heads) for name in LNETS}
    faces = AttributeNet(len(ATTRIBUTES), recipe.anet)
    faces.anet.load_state_dict(floats(MODELS / "faithful" / "anet.safetensors"))
    outputs = {key.rpartition(".")[2]: t for key, t in heads.items() if key.startswith("anet_attributes.")}
    faces.outputs.load_state_dict(outputs)
    return nets | {"anet_attributes": faces}


def with_objects() -> dict[str, nn.Module]:
    """The LNets that start from LNet+, and the ANet on their faces."""
    recipe, heads = load_recipe("faithful"), floats(HERE / "heads_with_objects.safetensors")
    nets = {name: lnet(name, recipe, HERE / f"{name}_with_objects.safetensors", heads) for name in LNETS}
    faces = AttributeNet(len(ATTRIBUTES), recipe.anet)
    faces.load_state_dict(floats(HERE / "anet_with_objects.safetensors"))
    return nets | {"anet_attributes": faces}


NETS = {"faithful": shipped, "objects": with_objects}
#: Each model's centre network and its ANet.
CENTER_NETS = {
    "fast-box-free": ("center_net.safetensors", "anet_center_net.safetensors"),
    "fast": ("center_net_with_boxes.safetensors", "anet_deep.safetensors"),
}


def record(model: str) -> dict[str, Any]:
    """What model.json says."""
    found: dict[str, Any] = json.loads((MODELS / model / "model.json").read_text(encoding="utf-8"))
    return found


def validation(model: str) -> dict[str, Any]:
    """The figures of the nets behind a model."""
    found: dict[str, Any] = record(model)["training"]["validation"]
    return found


class Part(nn.Module):
    """A net under the name that the stage after looks for."""

    def __init__(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.tensors = {f"{name}.{key}": tensor for key, tensor in tensors.items()}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        return self.tensors


def restored(name: str, model: str) -> dict[str, tuple[nn.Module, dict[str, float]]]:
    """Each stage's net and the validation figures that chose it, with LNets and their ANet by a name of NETS, and the
    centre network of a model by a name of CENTER_NETS."""
    recipe, (center_net, anet) = load_recipe(model), CENTER_NETS[model]
    nets: dict[str, nn.Module] = {
        "lnet_plus": Part("lnet", floats(HERE / "lnet_plus.safetensors")),
        **NETS[name](),
        "anet_identities": Part("anet", floats(HERE / "anet_identities.safetensors")),
        "center_net": CenterNet(recipe.center_net.net),
        "anet_attributes_center_net": AttributeNet(len(ATTRIBUTES), recipe.anet),
    }
    nets["center_net"].load_state_dict(floats(HERE / center_net))
    nets["anet_attributes_center_net"].load_state_dict(floats(HERE / anet))
    kept = json.loads((HERE / "figures.json").read_text(encoding="utf-8"))
    figures = validation("faithful") | validation(model) | {"lnet_plus": kept["lnet_plus"]}
    figures |= {"faithful": validation("faithful"), "objects": kept["objects"]}[name]
    return {stage: (net, figures[stage]) for stage, net in nets.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--nets", choices=NETS, default="faithful", help="LNets and the ANet on their faces")
    parser.add_argument("--center-net", choices=CENTER_NETS, default="fast-box-free", help="whose centre network")
    asked = parser.parse_args()
    run: Path = asked.run
    for stage, (net, figures) in restored(asked.nets, asked.center_net).items():
        folder = run / stage
        if has_stage(run, stage):
            print(f"{folder} is there already and stays as it is")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        save_best(folder, net, figures)
        if stage == "center_net":
            keep_record(folder / BOXES, record(asked.center_net)["training"].get("boxes"), resume=False)
        print(folder)


if __name__ == "__main__":
    main()
