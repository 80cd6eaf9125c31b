"""Look through photographs as every command does first: which files are inputs, and do they decode?

python examples/look_through.py examples/photos
"""

import sys

from facetag.errors import ImageError
from facetag.images.decode import read_image
from facetag.images.discover import discover


def main(inputs: list[str]) -> None:
    discovery = discover(inputs)
    for path in discovery:
        try:
            height, width, _ = read_image(path).pixels.shape
        except ImageError as error:
            print(f"{path}: {error}")
        else:
            print(f"{path}: {width}x{height}")
    print(*(f"{count} {what}" for what, count in discovery.counts.items()), sep=", ", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:] or ["examples/photos"])
