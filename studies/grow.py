"""Makes a start for a wide ANet of an older one: more residual blocks, and normalisation of each bank's own.

python studies/grow.py --old studies/anet_center_net.safetensors --recipe studies/fast_grown.toml --run runs/faithful

The old one is an AttributeNet as `keep.py` writes it, with as many channels as the recipe asks for. The net that it
makes answers as the old one does: a new block adds nothing at first, and a bank begins with what all banks shared.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from facetag.attributes import ATTRIBUTES
from facetag.networks.anet_heads import AttributeNet
from facetag.training.checkpoint import save_best
from facetag.training.recipe import load_recipe


def grown(net: AttributeNet, old: Mapping[str, Tensor]) -> AttributeNet:
    """Fill the net with the old weights.

    Raises:
        ValueError: the old net has what this one has no place for.
    """
    state = net.state_dict()
    if unknown := sorted(set(old) - set(state)):
        raise ValueError(f"no place for {unknown}")
    for name, tensor in state.items():
        if name not in old:
            if name.endswith("second.1.weight"):  # the last normalisation of a new block, which is then silent
                tensor.zero_()
        elif old[name].shape == tensor.shape:
            tensor.copy_(old[name])
        else:
            tensor.copy_(old[name].repeat(len(tensor) // len(old[name])))
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--run", type=Path, required=True)
    asked = parser.parse_args()
    torch.manual_seed(0)
    old = {name: t.float() if t.is_floating_point() else t for name, t in load_file(asked.old).items()}
    net = grown(AttributeNet(len(ATTRIBUTES), load_recipe(asked.recipe).anet), old)
    folder = asked.run / "anet_attributes_center_net"
    folder.mkdir(parents=True, exist_ok=True)
    save_best(folder, net, {"step": 0})


if __name__ == "__main__":
    main()
