"""An LBP cascade of OpenCV's, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python lbp.py lbpcascade_frontalface_improved.xml

Runs in the environment of haar.py and answers as it does: grey, equalised, two doubles are enough for a box, and the
score is how many it has. The level weights of detectMultiScale3 are no score: all boxes of this cascade have the same.
Its window is 45 pixels where Haar's is 20 or 24, so it sees the picture at twice its size.
"""

import json
import sys
import time

import cv2
import numpy as np
from haar import find

LARGER = 2


def find_in_larger(cascade: cv2.CascadeClassifier, picture: np.ndarray) -> dict[str, object]:
    start = time.perf_counter()
    larger = cv2.resize(picture, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_LINEAR)
    found = find(cascade, larger)
    boxes = (np.asarray(found["boxes"]).reshape(-1, 4) / LARGER).tolist()
    return {**found, "boxes": boxes, "seconds": time.perf_counter() - start}


def main(path: str) -> None:
    cascade = cv2.CascadeClassifier(path)
    if cascade.empty():
        sys.exit(f"{path} is no cascade of OpenCV's")
    for line in sys.stdin:
        print(json.dumps(find_in_larger(cascade, np.load(line.rstrip("\n")))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
