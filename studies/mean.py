"""The mean of the ANets of two trainings, of which the second went on from the first, as a stage of a run of its own.

python studies/mean.py --data data --first runs/first --second runs/second --fraction 0.3 --run runs/mean

Weights and statistics of normalisation lie a fraction of the way from the first net to the second. It is validated as
a training is, and the run has what the first one has beside it, so that `facetag finetune svm` goes on from there.
"""

import argparse
import shutil
from pathlib import Path

import torch

from facetag.attributes import ATTRIBUTES
from facetag.networks.anet_heads import AttributeNet
from facetag.training.cascade import face_data, face_task
from facetag.training.checkpoint import best_state, save_best
from facetag.training.data import DataFolder
from facetag.training.loop import RunOptions
from facetag.training.recipe import load_recipe

STAGE = "anet_attributes_center_net"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("--data", "--first", "--second", "--run"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--fraction", type=float, required=True)
    asked = parser.parse_args()
    first, second = (best_state(run / STAGE) for run in (asked.first, asked.second))
    recipe = load_recipe(asked.recipe)
    net = AttributeNet(len(ATTRIBUTES), recipe.anet, recipe.anet_attributes.dropout)
    net.load_state_dict(
        {
            name: torch.lerp(tensor, second[name], asked.fraction) if tensor.is_floating_point() else second[name]
            for name, tensor in first.items()
        }
    )
    shutil.copytree(asked.first, asked.run, ignore=shutil.ignore_patterns(STAGE))
    (asked.run / STAGE).mkdir()
    data = face_data(DataFolder(asked.data), recipe.anet_attributes)
    task = face_task(data, asked.run, recipe, net, RunOptions())
    with torch.inference_mode():
        figures = task.validate(net.eval(), torch.device("cpu"))
    save_best(asked.run / STAGE, net, {"epoch": 0, "step": 0, **figures})
    print(figures)


if __name__ == "__main__":
    main()
