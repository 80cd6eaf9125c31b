"""How `facetag predict` fares as work grows: more photographs, larger ones, more faces in each.

    python benchmarks/growth.py --model fast
    python benchmarks/growth.py --model fast --photos DIR --numbers 1000 10000 --megapixels --faces

Each row is a run of the command in a process of its own, on JPEG files that are made for it, or on the first ones of a
folder: images/s and time by stage as the run's record says them (starting is not counted, and stages that run side by
side add up to more than the whole), peak memory as the system says it, and the most files, pipes and the like that were
open at once. Faces are those of examples/photos/astronaut.jpg, each a little otherwise.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import ceil, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pictures import PHOTOGRAPH, encode, variant

from facetag.images.decode import read_image
from facetag.images.discover import discover
from facetag.images.resample import Image, resize

NUMBERS = (100, 1000, 10000)  #: of photographs, 300 x 300
MEGAPIXELS = (0.1, 0.3, 1, 3, 12, 50)  #: with one face, a third of the height
FACES = (0, 1, 10, 30, 100)
STAGES = ("decode", "lnet_o", "lnet_s", "center_net", "anet", "write")


@dataclass(frozen=True)
class Grown:
    """What one run took: images a second, faces an image, MB, open descriptors, milliseconds an image by stage; when it
    began and ended, loading the model not counted."""

    images: float
    faces: float
    memory: float
    descriptors: int
    stages: dict[str, float]
    started: datetime
    ended: datetime


def squares(count: int) -> Iterator[bytes]:
    photograph, generator = read_image(str(PHOTOGRAPH)).pixels, np.random.default_rng(1)
    return (encode(variant(photograph, 300, generator)) for _ in range(count))


def crowds(count: int, width: int, height: int, faces: int, share: float) -> Iterator[bytes]:
    """Pictures with so many faces on a grid, each head a share of its cell's height."""
    photograph, generator = read_image(str(PHOTOGRAPH)).pixels, np.random.default_rng(2)
    columns = max(ceil(sqrt(faces * width / height)), 1)
    rows = max(ceil(faces / columns), 1)
    for _ in range(count):
        picture = scenery(width, height, generator)
        for number in range(faces):
            row, column = divmod(number, columns)
            side = int(min(height / rows, width / columns) * share)
            top, left = int((row + 0.5) * height / rows - side / 2), int((column + 0.5) * width / columns - side / 2)
            picture[top : top + side, left : left + side] = resize(variant(photograph, 380, generator), side, side)
        yield encode(picture)


def scenery(width: int, height: int, generator: np.random.Generator) -> Image:
    """Soft colours with the grain of a camera, so that a file is as large as a photograph's."""
    soft = resize(generator.integers(60, 200, (6, 8, 3), dtype=np.uint8), width, height)
    grain = generator.integers(0, 12, (256, 256, 1), dtype=np.uint8)
    tiled = np.tile(grain, (ceil(height / 256), ceil(width / 256), 1))[:height, :width]
    return np.asarray(soft + tiled, np.uint8)


def grown(files: Iterable[bytes], model: str, *options: str) -> Grown:
    """Run the command with this model and these options on these files."""
    with TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "tags.csv"
        photos.mkdir()
        for number, data in enumerate(files):
            (photos / f"{number:06}.jpg").write_bytes(data)
        command = [sys.executable, "-m", "facetag", "predict", str(photos), "--out", str(out), "--model", model, "-q"]
        process = os.posix_spawn(sys.executable, [*command, *options], os.environ)
        status, usage, descriptors = watched(process)
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit("facetag failed")
        record = json.loads(out.with_name("tags.csv.run.json").read_text(encoding="utf-8"))
        count = record["inputs"]
        stages = {name: 1000 * record["stages"][name] / count for name in STAGES if record["stages"][name]}
        times = datetime.fromisoformat(record["started"]), datetime.fromisoformat(record["ended"])
        return Grown(
            record["images_per_second"], record["faces"] / count, usage.ru_maxrss / 1024, descriptors, stages, *times
        )


def watched(process: int) -> tuple[int, resource.struct_rusage, int]:
    """Wait for a process: its status, what it used, and how many descriptors it had at most (0 where Linux's /proc is
    not)."""
    most = 0
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return status, usage, most
        with suppress(OSError):
            most = max(most, len(os.listdir(f"/proc/{process}/fd")))
        time.sleep(0.1)


def photographs(folder: str, count: int) -> Iterator[bytes]:
    """The first so many images of a folder."""
    paths = list(islice(discover([folder]), count))
    if len(paths) < count:
        raise SystemExit(f"{folder} has {len(paths)} images")
    return (Path(path).read_bytes() for path in paths)


def show(title: str, row: Grown) -> None:
    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in row.stages.items())
    print(f"{title:28} {row.images:8.1f} {row.faces:8.2f} {row.memory:8.0f} {row.descriptors:5}   {stages}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--search", default="all", choices=("all", "thorough"), help="--faces of facetag predict")
    parser.add_argument("--photos", help="folder of photographs in place of those of 300x300")
    parser.add_argument("--numbers", type=int, nargs="*", default=NUMBERS)
    parser.add_argument("--megapixels", type=float, nargs="*", default=MEGAPIXELS)
    parser.add_argument("--faces", type=int, nargs="*", default=FACES)
    parser.add_argument("--count", type=int, default=64, help="pictures in a row of the other tables, at most")
    asked = parser.parse_args()
    how = asked.model, "--faces", asked.search
    print(f"model {asked.model}, --faces {asked.search}, {os.cpu_count()} cores")
    print(f"{'':28} {'images/s':>8} {'faces':>8} {'MB':>8} {'open':>5}   milliseconds an image")
    for number in asked.numbers:
        files = photographs(asked.photos, number) if asked.photos else squares(number)
        show(f"{number} photographs" + ", 300x300" * (not asked.photos), grown(files, *how))
    for size in asked.megapixels:
        width, height = round(1000 * sqrt(size * 4 / 3)), round(1000 * sqrt(size * 3 / 4))
        count = min(asked.count, max(ceil(200 / size), 16))
        show(f"{width}x{height}", grown(crowds(count, width, height, 1, 0.8), *how))
    for faces in asked.faces:
        show(f"1600x1200, {faces} faces", grown(crowds(asked.count, 1600, 1200, faces, 0.9), *how))


if __name__ == "__main__":
    main()
