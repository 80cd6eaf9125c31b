"""How fast `facetag predict` is on a GPU, how busy that is, and what its host's decoding would allow at most.

    python benchmarks/gpu.py --models fast faithful

On squares of 300x300 with one face, as in growth.py; the command runs in a process of its own for each model and
precision, and what it says is its record's: starting and loading are not counted. Busy is what nvidia-smi says
meanwhile, the share of time in which the GPU did anything at all. The paper's 35 + 14 ms an image of 300x300
(section 5) stand beside what `facetag eval speed --device cuda` says, where one image is looked at alone.

On a machine without a GPU, --device cpu shows that the command works.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parent))

from growth import Grown, grown, squares
from machine import decoding_seconds

WATCH = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200")


@dataclass
class Watch:
    """Percent of time that the GPU was busy, each with when that was said."""

    said: list[tuple[datetime, float]] = field(default_factory=list)

    def between(self, started: datetime, ended: datetime) -> float | None:
        """The mean; None where nothing was said."""
        shares = [share for when, share in self.said if started <= when <= ended]
        return sum(shares) / len(shares) if shares else None


@contextmanager
def watching(command: Sequence[str]) -> Iterator[Watch]:
    """What the command says a line at a time, as long as this lasts; nothing where there is no such command."""
    watch = Watch()
    if not command or not which(command[0]):
        yield watch
        return
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        listener = Thread(target=_listen, args=(process, watch))
        listener.start()
        try:
            yield watch
        finally:
            process.terminate()
            listener.join()


def _listen(process: "subprocess.Popen[str]", watch: Watch) -> None:
    assert process.stdout
    for line in process.stdout:
        watch.said.append((datetime.now(UTC), float(line)))


def decoded_a_second(files: Sequence[bytes], threads: int) -> float:
    """Images a second that facetag's decoder reads from disk with so many threads and nothing beside."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number:06}.jpg" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        return len(paths) / decoding_seconds(paths, threads)


def show(title: str, row: Grown, busy: float | None, limit: float) -> None:
    share = "   -" if busy is None else f"{busy:4.0f}"
    stages = ", ".join(f"{name} {spent:.2f}" for name, spent in row.stages.items())
    print(f"{title:24} {row.images:8.1f} {share} {100 * row.images / limit:8.0f}   {stages}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=("fast", "faithful"))
    parser.add_argument("--precisions", nargs="+", default=("float32", "bfloat16"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads that decode")
    parser.add_argument("--count", type=int, default=4096, help="files")
    asked = parser.parse_args()
    files = list(squares(asked.count))
    limit = decoded_a_second(files, asked.workers)
    print(f"{asked.device}, {asked.count} files; {asked.workers} threads decode {limit:.0f} images/s alone")
    print(f"{'':24} images/s busy  % of it   milliseconds an image")
    for model in asked.models:
        for precision in asked.precisions:
            how = ("--device", asked.device, "--precision", precision, "--workers", str(asked.workers))
            with watching(WATCH if asked.device.startswith("cuda") else ()) as watch:
                row = grown(files, model, *how)
            show(f"{Path(model).name}, {precision}", row, watch.between(row.started, row.ended), limit)


if __name__ == "__main__":
    main()
