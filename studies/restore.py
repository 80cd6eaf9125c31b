"""Makes a run folder of what is kept in models/ and in this folder, so that single stages can be trained again.

python studies/restore.py --run runs/restored
python studies/restore.py --run runs/without --without-objects

LNet+, the ANet right after identities, the student and its ANet are as they were trained, but for fp16. LNet_o and
LNet_s are kept folded only: they answer as before, and are no start for more training. A stage that the folder has
already is left alone. The LNets that know no objects are kept unfolded, and a run of them has nothing else.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from facetag.attributes import ATTRIBUTES
from facetag.networks.anet import AttributeNet
from facetag.networks.lnet import ClassifyingLNet
from facetag.networks.student import Student
from facetag.training.checkpoint import save_best
from facetag.training.finetune import ANY, OUTPUTS
from facetag.training.recipe import load_recipe
from facetag.training.trained import has_stage, student_folder

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"


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


def lnet(name: str, recipe: Any, model: dict[str, Any], heads: Mapping[str, Tensor]) -> nn.Module:
    """LNet_o or LNet_s with its head."""
    net = ClassifyingLNet(OUTPUTS, recipe.lnet, getattr(recipe, name).head)
    unfold(net.lnet, floats(MODELS / "faithful" / f"{name}.safetensors"))
    head = {key.removeprefix(name + "."): tensor for key, tensor in heads.items() if key.startswith(name)}
    head["outputs.bias"][ANY] = model[name]["bias"]
    net.head.load_state_dict(head)
    return net


class Part(nn.Module):
    """A net under the name that the stage after looks for."""

    def __init__(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.tensors = {f"{name}.{key}": tensor for key, tensor in tensors.items()}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        return self.tensors


def restored() -> dict[str, tuple[nn.Module, dict[str, float]]]:
    """Each stage's net and the validation figures that chose it."""
    model = json.loads((MODELS / "faithful" / "model.json").read_text(encoding="utf-8"))
    figures = model["training"]["validation"]
    recipe, heads = load_recipe("faithful"), floats(HERE / "heads.safetensors")
    faces = AttributeNet(len(ATTRIBUTES), recipe.anet)
    faces.anet.load_state_dict(floats(MODELS / "faithful" / "anet.safetensors"))
    faces.outputs.load_state_dict(
        {key.rpartition(".")[2]: t for key, t in heads.items() if key.startswith("anet_attributes.")}
    )
    nets: dict[str, nn.Module] = {
        "lnet_plus": Part("lnet", floats(HERE / "lnet_plus.safetensors")),
        "lnet_o": lnet("lnet_o", recipe, model, heads),
        "lnet_s": lnet("lnet_s", recipe, model, heads),
        "anet_identities": Part("anet", floats(HERE / "anet_identities.safetensors")),
        "anet_attributes": faces,
    }
    fast = load_recipe("fast")
    last = student_folder(len(fast.student))
    nets[last] = Student(fast.student[-1].net)
    nets[last].load_state_dict(floats(HERE / "student.safetensors"))
    nets["anet_attributes_student"] = AttributeNet(len(ATTRIBUTES), fast.anet)
    nets["anet_attributes_student"].load_state_dict(floats(HERE / "anet_student.safetensors"))
    of_fast = json.loads((MODELS / "fast" / "model.json").read_text(encoding="utf-8"))["training"]["validation"]
    figures |= {name: of_fast[name] for name in (last, "anet_attributes_student")}
    return {name: (net, figures[name]) for name, net in nets.items()}


def without_objects() -> dict[str, tuple[nn.Module, dict[str, float]]]:
    """LNet_o and LNet_s that know no objects, likewise."""
    path, found = HERE / "heads_without_objects.safetensors", {}
    recipe, heads = load_recipe(str(HERE / "without_objects.toml")), floats(path)
    with safe_open(path, "pt") as file:
        figures = json.loads(file.metadata()["figures"])
    for name in ("lnet_o", "lnet_s"):
        net = ClassifyingLNet(OUTPUTS, recipe.lnet, getattr(recipe, name).head)
        net.lnet.load_state_dict(floats(HERE / f"{name}_without_objects.safetensors"))
        net.head.load_state_dict({key.removeprefix(name + "."): t for key, t in heads.items() if key.startswith(name)})
        found[name] = net, figures[name]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--without-objects", action="store_true", help="of the LNets that never saw objects")
    asked = parser.parse_args()
    run: Path = asked.run
    for stage, (net, figures) in (without_objects if asked.without_objects else restored)().items():
        folder = run / stage
        if has_stage(run, stage):
            print(f"{folder} is there already and stays as it is")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        save_best(folder, net, figures)
        print(folder)


if __name__ == "__main__":
    main()
