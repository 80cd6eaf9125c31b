"""dlib's frontal face detector, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python dlib_hog.py DOUBLINGS

Runs in its own environment, so it knows nothing of facetag. A picture is upright RGB uint8 (H, W, 3); a line holds
boxes (x y width height in pixels), scores (larger is surer) and the seconds that finding took, reading left out.

The detector slides five templates of histograms of gradients (front, turned left and right, tilted), of 80 pixels, so
DOUBLINGS of the picture's sides say how small a face may be: 40 pixels with 1, as in dlib's own examples, 20 with 2.
"""

import json
import sys
import time

import dlib
import numpy as np

LOWEST = -1.0  #: dlib's own threshold is 0; the curve wants unsure boxes too. Scores count from here: none is under 0


def find(detector: dlib.fhog_object_detector, picture: np.ndarray, doublings: int) -> dict[str, object]:
    start = time.perf_counter()
    boxes, scores, _ = detector.run(picture, doublings, LOWEST)
    seconds = time.perf_counter() - start
    return {
        "boxes": [[box.left(), box.top(), box.width(), box.height()] for box in boxes],
        "scores": [score - LOWEST for score in scores],
        "seconds": seconds,
    }


def main(doublings: str) -> None:
    detector = dlib.get_frontal_face_detector()
    for line in sys.stdin:
        print(json.dumps(find(detector, np.load(line.rstrip("\n")), int(doublings))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
