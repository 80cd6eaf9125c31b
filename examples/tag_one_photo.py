"""Tag one photograph from Python: the same model and stages as `facetag predict`.

python examples/tag_one_photo.py examples/photos/astronaut.jpg
"""

import sys

from facetag.attributes import ATTRIBUTES
from facetag.images.decode import read_image
from facetag.localization.center_localizer import localizer_of
from facetag.model import load_model
from facetag.tagger import Tagger


def main(path: str) -> None:
    model = load_model()
    localizer, tagger = localizer_of(model), Tagger(model)
    pixels = read_image(path).pixels
    (faces,) = localizer([pixels])
    tags = tagger([tagger.region(pixels, face.box) for face in faces])
    for face, present in zip(faces, tags.present, strict=True):
        box = face.box
        names = [name for name, is_present in zip(ATTRIBUTES, present, strict=True) if is_present]
        print(f"{box.x:.0f},{box.y:.0f} {box.width:.0f}x{box.height:.0f} ({face.score:.2f}): {' '.join(names)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "examples/photos/astronaut.jpg")
