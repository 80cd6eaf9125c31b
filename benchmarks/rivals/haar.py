"""Haar cascades of opencv-python 4.x, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python haar.py frontalface_default|frontalface_alt2[:LEAST]

Runs in its own environment, so it knows nothing of facetag. A picture is upright RGB uint8 (H, W, 3); a line holds
boxes (x y width height in pixels), scores (larger is surer) and the seconds that finding took, reading left out.

Grey and equalised as in OpenCV's own examples, all other values its defaults, but that two doubles are enough for a box
and not four: the curve wants unsure boxes too. The score is how many doubles a box has. LEAST is the least side of a
box in pixels, where the size of the faces is known: it saves nearly all of the time.
"""

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np


def find(cascade: cv2.CascadeClassifier, picture: np.ndarray, least: int = 0) -> dict[str, object]:
    start = time.perf_counter()
    grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    boxes, doubles = cascade.detectMultiScale2(grey, minNeighbors=1, minSize=(least, least))
    seconds = time.perf_counter() - start
    return {
        "boxes": np.asarray(boxes, float).reshape(-1, 4).tolist(),
        "scores": np.ravel(doubles).astype(float).tolist(),
        "seconds": seconds,
    }


def main(word: str) -> None:
    variant, _, least = word.partition(":")
    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / f"haarcascade_{variant}.xml"))
    for line in sys.stdin:
        print(json.dumps(find(cascade, np.load(line.rstrip("\n")), int(least or 0))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
