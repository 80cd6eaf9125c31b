"""Where the face lies in UTKFace's chips, by the convention of CelebA's aligned frame.

python studies/utkface_box.py --data data

Two mean images are compared: CelebA's faces inside ALIGNED_FACE, and chips of adults inside a box that is sought. The
box whose mean correlates best with CelebA's, of the same ratio, is CHIP_FACE of facetag.datasets.utkface.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from facetag.datasets.celeba import load_celeba
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.datasets.utkface import load_utkface
from facetag.geometry import Box
from facetag.images.resample import crop
from facetag.training.examples import read_rgb

GREY = (0.299, 0.587, 0.114)
RATIO = ALIGNED_FACE.width / ALIGNED_FACE.height


def mean_image(paths: list[Path]) -> NDArray[np.uint8]:
    """The mean of images of one size: (H, W, 3)."""
    return np.mean([read_rgb(str(path)) for path in paths], axis=0).round().astype(np.uint8)


def standardized(mean: NDArray[np.uint8], box: Box) -> NDArray[np.float64]:
    """The box's grey values at 46 x 58 pixels, with mean 0 and deviation 1."""
    grey = crop(mean, box, 46, 58).astype(np.float64) @ np.array(GREY)
    result: NDArray[np.float64] = (grey - grey.mean()) / grey.std()
    return result


def best_box(chips: NDArray[np.uint8], wanted: NDArray[np.float64]) -> tuple[Box, float]:
    """The box of the chips' mean that correlates best with the wanted grey values, and the correlation."""

    def box_of(place: NDArray[np.float64]) -> Box:
        return Box.around(place[0], place[1], place[2] * RATIO, place[2])

    def difference(place: NDArray[np.float64]) -> float:
        return -float((standardized(chips, box_of(place)) * wanted).mean())

    starts = [np.array([100.0, y, height]) for y in (90.0, 110.0, 130.0) for height in (110.0, 140.0, 170.0)]
    simplex = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 12]])
    found = [
        minimize(difference, start, method="Nelder-Mead", options={"initial_simplex": start + simplex})
        for start in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    return box_of(best.x), -float(best.fun)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000, help="of each set")
    asked = parser.parse_args()
    celeba = load_celeba(asked.data / "celeba").subset(0)
    adults = [face.path for face in load_utkface(asked.data / "utkface").of_use("train") if 20 <= face.age < 50]
    wanted = standardized(mean_image([Path(path) for path in celeba.paths[: asked.images]]), ALIGNED_FACE)
    step = max(len(adults) // asked.images, 1)
    box, correlation = best_box(mean_image(adults[::step][: asked.images]), wanted)
    shown = ", ".join(f"{value:.1f}" for value in (box.x, box.y, box.width, box.height))
    print(f"Box({shown}): the two means correlate to {correlation:.3f}")


if __name__ == "__main__":
    main()
