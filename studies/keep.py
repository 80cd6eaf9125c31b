"""Keeps from a training run what figures of the paper need later: fp16 safetensors in this folder, not in the wheel.

python studies/keep.py --run runs/faithful
python studies/keep.py --run runs/faithful --center-net

lnet_plus.safetensors            LNet+ after object categories: convolutions, unfolded; figures.json has its accuracy
anet_identities.safetensors      ANet right after identities
heads.safetensors                the fine-tuning heads of LNet_o, LNet_s and ANet
center_net.safetensors           the centre network of fast-box-free, unfolded
center_net_with_boxes.safetensors  the same after face boxes, as in fast
anet_center_net.safetensors      the ANet of fast-box-free with its outputs
anet_deep.safetensors            the ANet of fast with its outputs, unfolded

anet_grown.safetensors           the same, trained on by studies/fast_grown.toml; it did not become better

lnet_o_with_objects.safetensors, lnet_s_with_objects.safetensors and heads_with_objects.safetensors are the LNets that
start from an LNet+ of three epochs, folded as models/faithful had them, and their heads. anet_with_objects.safetensors
is the ANet, with its outputs, that was fine-tuned on their faces. figures.json has their validation.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from facetag.training.checkpoint import best_state, figures

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "figures.json"


def part(folder: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a stage's best net whose names begin so, without that beginning.

    Raises:
        DataError: the stage is not trained.
    """
    state = best_state(folder)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def heads(run: Path, **stages: str) -> dict[str, Tensor]:
    """What stands on these stages' nets, whose names begin as said."""
    kept = {stage: part(run / stage, prefix) for stage, prefix in stages.items()}
    return {f"{stage}.{name}": tensor for stage, tensors in kept.items() for name, tensor in tensors.items()}


def write(name: str, tensors: Mapping[str, Tensor]) -> None:
    """As fp16, but for what counts batches."""
    halves = {key: (t.half() if t.is_floating_point() else t).contiguous() for key, t in tensors.items()}
    path = HERE / f"{name}.safetensors"
    path.write_bytes(save(halves))
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--center-net", action="store_true", help="keep the nets of `fast` alone")
    asked = parser.parse_args()
    if asked.center_net:
        center_net = asked.run / "center_net"
        with_boxes = (center_net / "boxes.json").is_file()
        write("center_net_with_boxes" if with_boxes else "center_net", part(center_net, ""))
        write("anet_deep" if with_boxes else "anet_center_net", part(asked.run / "anet_attributes_center_net", ""))
        return
    write("lnet_plus", part(asked.run / "lnet_plus", "lnet."))
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) | {"lnet_plus": figures(asked.run / "lnet_plus")}
    (HERE / FIGURES.name).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    write("anet_identities", part(asked.run / "anet_identities", "anet."))
    write("heads", heads(asked.run, lnet_o="head.", lnet_s="head.", anet_attributes="outputs."))


if __name__ == "__main__":
    main()
