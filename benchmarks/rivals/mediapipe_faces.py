"""mediapipe's face detection, for localization.py: paths of .npy pictures in, a line of JSON each out.

    python mediapipe_faces.py short_range|full_range

Runs in its own environment, so it knows nothing of facetag. A picture is upright RGB uint8 (H, W, 3); a line holds
boxes (x y width height in pixels), scores (larger is surer) and the seconds that finding took, reading left out.

The graphs are those of mediapipe's own FaceDetection. Its min_detection_confidence changes nothing in this version
(mediapipe's issue 3896), so its threshold of 0.5 or 0.6 is set where the graph holds it.
"""

import json
import sys
import time

import numpy as np
from mediapipe.python.solution_base import SolutionBase

GRAPH = "mediapipe/modules/face_detection/face_detection_{}_cpu.binarypb"
THRESHOLD = "facedetection{}__facedetection__TensorsToDetectionsCalculator.min_score_thresh"
LOWEST = 0.02  #: the curve wants unsure boxes too; a box is averaged with its doubles by their scores


def detector_of(variant: str) -> SolutionBase:
    threshold = {THRESHOLD.format(variant.replace("_", "")): LOWEST}
    return SolutionBase(binary_graph_path=GRAPH.format(variant), calculator_params=threshold, outputs=["detections"])


def find(detector: SolutionBase, picture: np.ndarray) -> dict[str, object]:
    start = time.perf_counter()
    found = detector.process({"image": picture}).detections or []
    seconds = time.perf_counter() - start
    height, width = picture.shape[:2]
    boxes = [one.location_data.relative_bounding_box for one in found]
    return {
        "boxes": [[box.xmin * width, box.ymin * height, box.width * width, box.height * height] for box in boxes],
        "scores": [float(one.score[0]) for one in found],
        "seconds": seconds,
    }


def main(variant: str) -> None:
    with detector_of(variant) as detector:
        for line in sys.stdin:
            print(json.dumps(find(detector, np.load(line.rstrip("\n")))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
