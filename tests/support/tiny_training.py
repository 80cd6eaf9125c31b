"""A training task of a second: random pictures, a net of two layers with dropout. As a script, one run of it.

python tests/tiny_training.py FOLDER [--resume] [--workers N] [--pause SECONDS] [--stop RANK:STEP] [--dropout P]
"""

import argparse
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from facetag.datasets.sampling import shuffled_batches
from facetag.training import distributed, loop
from facetag.training.loop import LoopSettings, Outcome, RunOptions, train

LOOP = LoopSettings(epochs=3, batch=8, rate=0.05, warmup=0.2, seed=3)
EXAMPLES = 44
STEPS = 3 * (EXAMPLES // 8)


@dataclass(frozen=True)
class TinyStage:
    dropout: float = 0.5
    noise: float = 20.0
    loop: LoopSettings = field(default_factory=lambda: LOOP)


class TinyPictures(Dataset):
    """Augmented from (seed, epoch, index), as the real ones are."""

    def __init__(self, stage: TinyStage) -> None:
        self.stage = stage

    def __getitem__(self, place):
        epoch, index = place
        picture = np.random.default_rng((1, index)).integers(0, 256, (8, 8, 3))
        noise = np.random.default_rng((self.stage.loop.seed, epoch, index)).normal(0, self.stage.noise, picture.shape)
        return np.clip(picture + noise, 0, 255).astype(np.uint8), torch.tensor([picture.mean() / 255])


class TinyTask:
    name = "tiny"
    metric = "figure"

    def __init__(self, stage: TinyStage, pause: float = 0.0) -> None:
        torch.manual_seed(stage.loop.seed)
        self.stage, self.pause = stage, pause
        self.model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(stage.dropout), nn.Flatten(), nn.Linear(4 * 36, 1)
        )
        self.examples = TinyPictures(stage)

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        return shuffled_batches(EXAMPLES, self.stage.loop.batch, self.stage.loop.seed, epoch, rank, world)

    def loss(self, model, images, *targets):
        return (model(images).float() - targets[0]).square().mean()

    def validate(self, model, device):
        time.sleep(self.pause)
        pictures = [self.examples[1_000_000, index] for index in range(8)]
        images = torch.stack([torch.from_numpy(picture) for picture, _ in pictures]).to(device)
        error = (model(loop.to_input(images, device)).cpu() - torch.stack([target for _, target in pictures])).square()
        return {"figure": -float(error.mean())}


def run(folder: Path, stage: TinyStage | None = None, pause: float = 0.0, **options) -> Outcome:
    stage = stage or TinyStage()
    return train(TinyTask(stage, pause), stage.loop, folder, RunOptions(**{"workers": 0, **options}))


def threads() -> list[str]:
    """Names of this process's threads, where the system tells."""
    return sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--stop", default="0:0")
    parser.add_argument("--dropout", type=float, default=0.5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    loop.REPORT_EVERY = 1
    signals, steps, (stopping, last) = [], 0, map(int, given.stop.split(":"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: signals.append(received))

    def should_stop() -> bool:
        nonlocal steps
        steps += 1
        print("step", flush=True)
        return bool(signals) or (distributed.rank() == stopping and steps == last)

    outcome = run(
        given.folder, TinyStage(given.dropout), given.pause, resume=given.resume, workers=given.workers,
        should_stop=should_stop, checkpoint_every=0.0,
    )  # fmt: skip
    report = {"finished": outcome.finished, "steps": outcome.steps, "best": outcome.best, "threads": threads()}
    (given.folder / f"outcome_{os.environ.get('RANK', '0')}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
