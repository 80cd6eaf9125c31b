"""Images a second of `--engine ray` beside the local engine, and what Ray costs a photograph.

    python benchmarks/cluster.py --model fast --count 256 --turns 3
    python benchmarks/cluster.py --photos data/webfaces --ray-address head:6379 --workers 8 16

Without --ray-address each run starts a Ray of its own on this machine. Every engine tags N files and 2 N files, in
turns. The difference of the two is the steady part, without start and end; medians over the turns. Seconds of the
processor are those of the whole machine (/proc/stat of Linux), since Ray's processes are nobody's children: they mean
something on a machine that does nothing else. With --ray-address they are those of this machine alone. All engines
have to write the same bytes.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from photographs import make_photographs

LOCAL = "local engine"


@dataclass(frozen=True)
class Taken:
    """Seconds of the clock, and of all processors together."""

    clock: float
    processor: float

    def __sub__(self, other: "Taken") -> "Taken":
        return Taken(self.clock - other.clock, self.processor - other.processor)


def now() -> Taken:
    user, nice, system, *_ = map(int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8])
    return Taken(time.monotonic(), (user + nice + system) / os.sysconf("SC_CLK_TCK"))


def tag(photos: Path, out: Path, words: list[str]) -> Taken:
    """A run of facetag from nothing."""
    command = [sys.executable, "-m", "facetag", "predict", str(photos), "--out", str(out), "--overwrite", "-q", *words]
    before = now()
    subprocess.run(command, check=True)
    return now() - before


def folders(asked: argparse.Namespace, inside: Path) -> tuple[Path, Path]:
    """N files, and 2 N."""
    if not asked.photos:
        size = (asked.width, asked.width * 3 // 4)
        return make_photographs(inside / "n", asked.count, size), make_photographs(inside / "2n", 2 * asked.count, size)
    found = sorted(path for path in asked.photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    made = inside / "n", inside / "2n"
    for folder, count in zip(made, (asked.count, 2 * asked.count), strict=True):
        folder.mkdir()
        for number in range(count):
            shutil.copyfile(found[number * len(found) // count], folder / f"{number:06}.jpg")
    return made


def engines(asked: argparse.Namespace) -> dict[str, list[str]]:
    """Name -> what it adds to the command."""
    ray = ["--engine", "ray", *(("--ray-address", asked.ray_address) if asked.ray_address else ())]
    several = {
        f"Ray, {count} worker{'s' * (count > 1)}": [*ray, "--ray-workers", str(count)] for count in asked.workers
    }
    return {LOCAL: [], **several}


def report(count: int, measured: dict[str, list[tuple[Taken, Taken]]]) -> None:
    """Of each engine: the run of N files, and what N more took, in every turn."""
    usual = statistics.median(more.processor for _, more in measured[LOCAL]) / count
    print(f"{'':18} {'start s':>8} {'images/s':>9} {'slowest':>8} {'fastest':>8} {'CPU ms an image':>16} {'more':>8}")
    for name, turns in measured.items():
        rates = [count / max(more.clock, 1e-9) for _, more in turns]
        start = statistics.median(first.clock - more.clock for first, more in turns)
        processor = statistics.median(more.processor for _, more in turns) / count
        print(
            f"{name:18} {start:8.1f} {statistics.median(rates):9.2f} {min(rates):8.2f} {max(rates):8.2f}"
            f" {1000 * processor:16.1f} {1000 * (processor - usual):8.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs; otherwise they are made")
    parser.add_argument("--count", type=int, default=256, help="N")
    parser.add_argument("--width", type=int, default=1024, help="pixels of those that are made")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of Ray")
    parser.add_argument("--ray-address", metavar="HOST:PORT")
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        inside = Path(made)
        once, twice = folders(asked, inside)
        measured: dict[str, list[tuple[Taken, Taken]]] = {name: [] for name in engines(asked)}
        written = set()
        for _ in range(asked.turns):
            for name, words in engines(asked).items():
                first = tag(once, inside / "tags.csv", ["--model", asked.model, *words])
                both = tag(twice, inside / "tags.csv", ["--model", asked.model, *words])
                measured[name].append((first, both - first))
                written.add((inside / "tags.csv").read_bytes())
        report(asked.count, measured)
        print("all wrote the same bytes" if len(written) == 1 else f"THERE ARE {len(written)} DIFFERENT OUTPUTS")


if __name__ == "__main__":
    sys.exit(main())
