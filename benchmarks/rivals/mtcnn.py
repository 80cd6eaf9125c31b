"""MTCNN of facenet-pytorch, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python mtcnn.py SMALLEST

Runs in its own environment, so it knows nothing of facetag. A picture is upright RGB uint8 (H, W, 3); a line holds
boxes (x y width height in pixels), scores (larger is surer) and the seconds that finding took, reading left out.

SMALLEST is the least side of a face in pixels. All else is the package's default but the last threshold, as the curve
wants unsure boxes too. The package asks torchvision for one function that MTCNN needs, non-maximum suppression by
group, and pins a torch of 2024; here it runs on today's, and that function stands below.
"""

import json
import sys
import time
import types
from importlib import import_module

import numpy as np
import torch

THRESHOLDS = (0.6, 0.7, 0.3)  #: facenet-pytorch's own last one is 0.7


def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, overlap: float) -> torch.Tensor:
    """Indices of the boxes (N, 4) that no surer one of their group overlaps by more, the surest first.

    Boxes are left, top, right, bottom.
    """
    order = scores.argsort(descending=True, stable=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        low = torch.maximum(boxes[first, :2], boxes[rest, :2])
        high = torch.minimum(boxes[first, 2:], boxes[rest, 2:])
        common = (high - low).clamp(min=0).prod(1)
        free = (common <= overlap * (areas[first] + areas[rest] - common)) | (groups[rest] != groups[first])
        order = rest[free]
    return torch.stack(kept) if kept else order


def stand_in() -> None:
    """Modules of torchvision's names, which facenet-pytorch imports."""
    names = ("torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms")
    sys.modules.update({name: types.ModuleType(name) for name in names})
    sys.modules["torchvision.ops.boxes"].__dict__["batched_nms"] = batched_nms
    sys.modules["torchvision.transforms"].__dict__["functional"] = types.ModuleType("functional")


def find(detector: "torch.nn.Module", picture: np.ndarray) -> dict[str, object]:
    start = time.perf_counter()
    corners, scores = detector.detect(picture)  # type: ignore[operator]
    seconds = time.perf_counter() - start
    if corners is None:
        return {"boxes": [], "scores": [], "seconds": seconds}
    corners = np.asarray(corners, float)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return {"boxes": boxes.tolist(), "scores": np.asarray(scores, float).tolist(), "seconds": seconds}


def main(smallest: str) -> None:
    stand_in()
    made = import_module("facenet_pytorch").MTCNN(
        keep_all=True, min_face_size=int(smallest), thresholds=list(THRESHOLDS)
    )
    for line in sys.stdin:
        print(json.dumps(find(made, np.load(line.rstrip("\n")))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
