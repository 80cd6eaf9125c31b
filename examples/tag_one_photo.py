"""Tag one photograph from Python: the same model, stages and answers as `facetag predict`.

python examples/tag_one_photo.py examples/photos/astronaut.jpg
"""

import sys

import facetag


def main(path: str) -> None:
    tagger = facetag.FaceTagger()
    image = tagger(path)
    for face in image.faces:
        box = face.box
        print(f"{box.x:.0f},{box.y:.0f} {box.width:.0f}x{box.height:.0f} ({face.score:.2f}): {' '.join(face.tags)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "examples/photos/astronaut.jpg")
