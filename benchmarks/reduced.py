"""What it costs in answers, and wins in time, to decode large JPEGs smaller than they are (setting `read_size`).

    python benchmarks/reduced.py --model fast --sides 512 768

For each side on the photographs of WebFaces' tuning half that are decoded smaller by it, which are at least twice as
large; each is answered whole and so, one after the other within one process: recall of annotated faces at IoU 0.5, and
beside the answers to the whole photographs the share of faces found again (IoU 0.5), the mean IoU of these, and how far
their attributes differ. Decoding again for small faces is not in the time of decoding, but in the images a second.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facetag.attributes import ATTRIBUTES
from facetag.datasets.webfaces import AnnotatedImage
from facetag.evaluate.localization import load_annotated_images
from facetag.method.detection_metrics import match
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.stages import Cascade, answers
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.predictor import FaceTagger
from facetag.results import ImageResult

IOU = 0.5


@dataclass(frozen=True)
class Compared:
    """Answers at one side beside those to whole photographs.

    Attributes:
        recall: of annotated faces.
        again: share of the whole photographs' faces that are found, `overlap` their mean IoU.
        decisions: share of their tags that differ, `probability` the mean difference.
        milliseconds: of decoding a photograph, `images` a second of everything.
    """

    recall: float
    again: float
    overlap: float
    decisions: float
    probability: float
    milliseconds: float
    images: float


def looked(photographs: Sequence[AnnotatedImage], cascade: Cascade, side: int) -> tuple[list[ImageResult], Stopwatch]:
    clock = Stopwatch()
    paths = [str(each.path) for each in photographs]
    records = [each.record for each in answers(paths, cascade, ReadSettings(workers=1, min_size=side), clock)]
    return records, clock


def compare(
    photographs: Sequence[AnnotatedImage],
    whole: Sequence[ImageResult],
    records: Sequence[ImageResult],
    clock: Stopwatch,
) -> Compared:
    hits = truths = faces = 0
    overlaps, differences, decisions = [], [], []
    for photograph, reference, record in zip(photographs, whole, records, strict=True):
        boxes, scores = [face.box for face in record.faces], [face.score for face in record.faces]
        hits += int((match(boxes, scores, photograph.boxes, IOU) >= 0).sum())
        truths += len(photograph.boxes)
        wanted = [face.box for face in reference.faces]
        faces += len(wanted)
        for face, index in zip(record.faces, match(boxes, scores, wanted, IOU), strict=True):
            if index < 0:
                continue
            other = reference.faces[index]
            overlaps.append(face.box.iou(other.box))
            differences.append([abs(face.probabilities[name] - other.probabilities[name]) for name in ATTRIBUTES])
            decisions.append([(name in face.tags) != (name in other.tags) for name in ATTRIBUTES])
    spent = clock.seconds
    return Compared(
        100 * hits / truths,
        100 * len(overlaps) / faces,
        float(np.mean(overlaps)),
        100 * float(np.mean(decisions)),
        float(np.mean(differences)),
        1000 * spent[Stage.DECODE] / len(photographs),
        len(photographs) / sum(spent[stage] for stage in (Stage.DECODE, Stage.CENTER_NET, Stage.ANET)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/webfaces"))
    parser.add_argument("--model", default="fast")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 768])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    photographs = load_annotated_images(options.data, half="tune").chosen
    tagger = FaceTagger(options.model, device="cpu")
    model, cascade = tagger.model, tagger.cascade
    looked(photographs[:20], cascade, 0)  # warm
    print(f"model {model.name}")
    print("photographs  side  recall  again  overlap  decisions  probability  decode ms  images/s")
    for side in options.sides:
        chosen = [each for each in photographs if large(each, 2 * side)]
        whole, clock = looked(chosen, cascade, 0)
        show(len(chosen), "whole", compare(chosen, whole, whole, clock))
        show(len(chosen), str(side), compare(chosen, whole, *looked(chosen, cascade, side)))


def show(count: int, side: str, row: Compared) -> None:
    print(
        f"{count:11} {side:>5} {row.recall:6.1f} {row.again:6.1f} {row.overlap:8.3f} {row.decisions:9.2f} %"
        f" {row.probability:10.4f} {row.milliseconds:10.1f} {row.images:9.1f}"
    )


def large(photograph: AnnotatedImage, least: int) -> bool:
    with Image.open(photograph.path) as image:
        return max(image.size) >= least


if __name__ == "__main__":
    main()
