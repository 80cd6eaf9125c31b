"""Which of CelebA's heads a model does not find: what `[center_net.scenes] hard_heads` shows more often.

    python studies/hard_heads.py --data data --model fast

Each aligned head that nets learn from is looked at twice, with a face of some 60 and 22 px inside a grey frame. A head
whose face has a score below 0.6 in either look is a hard one: profiles, hats, hands and masks before the face, strange
light. Their names go into DATA/hard_heads.csv.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facetag.datasets.scenes import ALIGNED_FACE
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.resample import Image, resize
from facetag.localization.center_localizer import CenterLocalizer
from facetag.predictor import FaceTagger
from facetag.training.data import DataFolder
from facetag.training.finetune import split_training
from facetag.training.recipe import load_recipe

LEAST, IOU = 0.6, 0.4
FRAME = 160  #: pixels of the longer side of what the net sees
HEIGHTS = (60, 22)  #: of the face there
BATCH = 128


def framed(image: Image, height: float) -> tuple[Image, Box]:
    """The head in the middle of a grey square, and its face there."""
    frame = ALIGNED_FACE.scaled(image.shape[1] / 178, image.shape[0] / 218)
    factor = height / frame.height
    head = resize(image, round(image.shape[1] * factor), round(image.shape[0] * factor))
    canvas = np.full((FRAME, FRAME, 3), 127, np.uint8)
    top, left = (FRAME - head.shape[0]) // 2, (FRAME - head.shape[1]) // 2
    canvas[top : top + head.shape[0], left : left + head.shape[1]] = head
    return canvas, frame.scaled(factor).shifted(left, top)


def hard(localizer: CenterLocalizer, paths: Sequence[str]) -> list[str]:
    """Those of the heads whose face is not surely found."""
    missed = []
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        heads = [read_image(path).pixels for path in some]
        least = [1.0] * len(some)
        for height in HEIGHTS:
            views = [framed(head, height) for head in heads]
            found = localizer.faces([view for view, _ in views], 0.02)
            for index, ((_, face), faces) in enumerate(zip(views, found, strict=True)):
                score = max((one.score for one in faces if one.box.iou(face) >= IOU), default=0.0)
                least[index] = min(least[index], score)
        missed += [path for path, score in zip(some, least, strict=True) if score < LEAST]
        print(f"{len(missed)} of {start + len(some)}", end="\r", flush=True)
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--model", default="fast")
    options = parser.parse_args()
    localizer = FaceTagger(options.model, device="cpu", attributes=[]).localizer
    assert isinstance(localizer, CenterLocalizer)
    localizer.settings = replace(localizer.settings, input_size=FRAME, close_size=0, finer_sizes=(), triggers=())
    folder, stage = DataFolder(options.data), load_recipe("fast").center_net
    sets = [each for each in (folder.celeba(), folder.half_head_images()) if each is not None]
    paths = [str(path) for each in sets for path in split_training(each, stage.held_out).train.paths]
    missed = hard(localizer, paths)
    with (options.data / "hard_heads.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = [[Path(path).relative_to(options.data)] for path in missed]
        csv.writer(file, lineterminator="\n").writerows([["file"], *rows])
    print(f"{len(missed)} of {len(paths)} heads are hard")


if __name__ == "__main__":
    main()
