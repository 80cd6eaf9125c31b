"""What large archives cost beside the networks: listing, reading, the journal and the output, with a stand-in model.

    python benchmarks/archive.py files --numbers 100000 400000 1000000 --folder /somewhere/with/room
    python benchmarks/archive.py journal --numbers 1000000 10000000 --folder /somewhere/with/room
    python benchmarks/archive.py shards --numbers 10000000 --folder /somewhere/with/room

`files` makes as many small JPEGs, no two alike, and runs facetag on them, each step in a process of its own: first
run, unchanged, 1 % changed, half of the folders renamed, eight shards, and their merge. `journal` makes no files: a
generator feeds the journal and the writer, first with answers that are new, then as if nothing had changed. `shards`
does that with a journal and a folder of Parquet parts for each of eight shards, merges them into one CSV file with one
journal, and goes on from there as if nothing had changed.

Every answer is one face with forty probabilities. Seconds are of the processor and of the clock; on a machine with
other work only the first are to be compared. Memory is the step's peak; the row "idle" is of the libraries alone.
"""

import argparse
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

import cv2
import numpy as np
from pyarrow.dataset import dataset

from facetag.attributes import ATTRIBUTES
from facetag.formats.destination import next_to
from facetag.geometry import Box
from facetag.images.discover import discover
from facetag.pipeline.engine import Engine
from facetag.pipeline.items import LoadedImage, Source
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.timing import Stopwatch
from facetag.results import FaceResult, ImageResult, Status
from facetag.runs.cache_key import CacheKey
from facetag.runs.journal import ENDING, Journal
from facetag.runs.merge import merge
from facetag.runs.run import Document, RunSettings, publish, run
from facetag.runs.shards import WHOLE, Enumeration, Shard

NUMBERS = (100_000, 400_000, 1_000_000)
IN_A_FOLDER = 1000
SHARDS = 8
COMMIT = 64  #: answers in a commit, as a run on a CPU has them
KEY = CacheKey("predict", "a stand-in", attributes=ATTRIBUTES, thresholds=(0.5,) * len(ATTRIBUTES))


def answer_to(path: str, content: bytes, width: int = 16, height: int = 16) -> ImageResult:
    """One face, whose probabilities hang on the content: as long, when they are written, as a network's."""
    digest = blake2b(content, digest_size=len(ATTRIBUTES)).digest()
    probabilities = {name: round(value / 256 + 0.0013, 4) for name, value in zip(ATTRIBUTES, digest, strict=True)}
    tags = tuple(name for name, value in probabilities.items() if value >= 0.5)
    face = FaceResult(Box(1.5, 2.5, 10.1, 12.1), 0.8765, probabilities, tags)
    return ImageResult(path, Status.OK, "", width, height, (face,))


def stand_in(images: Sequence[LoadedImage], clock: Stopwatch) -> list[ImageResult]:
    """In a Cascade's place."""
    return [answer_to(image.path, image.source.sha256, image.width, image.height) for image in images if image.source]


def make_files(folder: Path, number: int) -> None:
    """So many JPEGs, no two of the same bytes, a thousand in a folder."""
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    for index in range(number):
        inside = folder / f"{index // IN_A_FOLDER:06}"
        if index % IN_A_FOLDER == 0:
            inside.mkdir(parents=True)
        (inside / f"{index:09}.jpg").write_bytes(encoded + index.to_bytes(8, "big"))


def tag(files: Path, out: Path, shard: Shard = WHOLE) -> None:
    """A run of facetag with the stand-in."""
    engine = Engine(ReadSettings(), ATTRIBUTES, lambda: (stand_in, ReadSettings()))  # type: ignore[arg-type,return-value]
    document = Document(str(out), "csv", ATTRIBUTES, KEY.decide)
    assert run(discover([str(files)]), engine, document, KEY, RunSettings(shard=shard)).finished


def change(files: Path, every: int) -> None:
    """Each so many-th file gets another byte."""
    for index, path in enumerate(sorted(files.glob("*/*.jpg"))):
        if index % every == 0:
            with path.open("ab") as stream:
                stream.write(b"x")


def move_half(files: Path) -> None:
    """Every second folder gets another name."""
    for folder in sorted(files.iterdir())[::2]:
        folder.rename(folder.with_name(f"moved{folder.name}"))


def merge_shards(outputs: Sequence[Path], out: Path) -> None:
    merge(list(map(str, outputs)), str(out))


def paths(number: int) -> Iterator[str]:
    return (f"photos/{index // IN_A_FOLDER:06}/{index:09}.jpg" for index in range(number))


def journal_new(out: Path, number: int) -> None:
    """Answers to so many files that nobody has seen, from a generator into a journal and a CSV file."""
    with Journal(next_to(str(out), ENDING), KEY) as journal:
        journal.begin()
        for index, path in enumerate(paths(number)):
            assert journal.known(path) is None
            content = blake2b(path.encode(), digest_size=32).digest()
            journal.add(index, answer_to(path, content), Source(1000, index, content))
            if index % COMMIT == COMMIT - 1:
                journal.commit()
        journal.commit()
        publish(journal.records(), Document(str(out), "csv", ATTRIBUTES, KEY.decide))
        journal.finish(number, "")


def journal_known(out: Path, number: int) -> None:
    """The same files again, all of them known."""
    with Journal(next_to(str(out), ENDING), KEY) as journal:
        journal.begin()
        for index, path in enumerate(paths(number)):
            assert journal.known(path)
            journal.keep(index, path)
            if index % COMMIT == COMMIT - 1:
                journal.commit()
        journal.refuse_emptying(str(out))
        publish(journal.records(), Document(str(out), "csv", ATTRIBUTES, KEY.decide))
        assert journal.finish(number, "") == 0


def shard_new(out: Path, number: int, shard: Shard) -> None:
    """One shard's answers to so many files, from a generator into a journal and a folder of Parquet parts."""
    with Journal(next_to(str(out), ENDING), KEY, shard=shard) as journal:
        journal.begin()
        whole = Enumeration(paths(number), shard)
        for count, path in enumerate(whole):
            content = blake2b(path.encode(), digest_size=32).digest()
            journal.add(whole.indices.pop(path), answer_to(path, content), Source(1000, count, content))
            if count % COMMIT == COMMIT - 1:
                journal.commit()
        journal.commit()
        publish(journal.records(), Document(f"{out}/", "parquet", ATTRIBUTES, KEY.decide))
        journal.finish(whole.inputs, whole.digest)


def listing(files: Path, number: int) -> None:
    """Only the paths."""
    assert sum(1 for _ in discover([str(files)])) == number


def measured(title: str, number: int, step: Callable[[], None]) -> float:
    """Print what a step takes in a process of its own; answers the processor's seconds."""
    started = time.monotonic()
    child = os.fork()
    if not child:
        status = 1
        try:
            step()
            status = 0
        except Exception:  # noqa: BLE001 - this process ends here
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{title} failed")
    took, wall = usage.ru_utime + usage.ru_stime, time.monotonic() - started
    rate, memory = number / took if took else 0.0, usage.ru_maxrss / 1024
    print(f"{number:>10,} {title:24} {took:9.1f} {wall:9.1f} {rate:12,.0f} {memory:8.0f}", flush=True)
    return took


def of_files(folder: Path, number: int) -> None:
    files, out = folder / "files", folder / "tags.csv"
    make_files(files, number)
    measured("idle", number, lambda: __import__("torch") and None)
    measured("listing", number, partial(listing, files, number))
    measured("first run", number, partial(tag, files, out))
    measured("unchanged", number, partial(tag, files, out))
    change(files, 100)
    measured("1 % changed", number, partial(tag, files, out))
    move_half(files)
    measured("half moved", number, partial(tag, files, out))
    parts = [folder / f"part{index}.csv" for index in range(1, SHARDS + 1)]
    for index, part in enumerate(parts, 1):
        measured(f"shard {index} of {SHARDS}", number, partial(tag, files, part, Shard(index, SHARDS)))
    measured(f"merge of {SHARDS}", number, partial(merge_shards, parts, folder / "merged.csv"))
    assert (folder / "merged.csv").read_bytes() == out.read_bytes()
    sizes(out, number)


def of_journal(folder: Path, number: int) -> None:
    out = folder / "tags.csv"
    measured("journal, new", number, partial(journal_new, out, number))
    measured("journal, all known", number, partial(journal_known, out, number))
    sizes(out, number)


def of_shards(folder: Path, number: int) -> None:
    out = folder / "tags.csv"
    parts = [folder / "tags" / f"shard={index}" for index in range(1, SHARDS + 1)]
    (folder / "tags").mkdir()
    for index, part in enumerate(parts, 1):
        measured(f"shard {index} of {SHARDS}", number // SHARDS, partial(shard_new, part, number, Shard(index, SHARDS)))
    assert dataset(sorted(map(str, (folder / "tags").glob("*/*.parquet")))).count_rows() == number
    measured(f"merge of {SHARDS}", number, partial(merge_shards, parts, out))
    sizes(out, number)
    measured("merged, all known", number, partial(journal_known, out, number))


def sizes(out: Path, number: int) -> None:
    journal = os.path.getsize(next_to(str(out), ENDING))
    print(
        f"{'':>10} bytes an input: journal {journal / number:.0f}, output {os.path.getsize(out) / number:.0f}",
        flush=True,
    )


STEPS = {"files": of_files, "journal": of_journal, "shards": of_shards}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=STEPS)
    parser.add_argument("--numbers", type=int, nargs="*", default=NUMBERS)
    parser.add_argument("--folder", type=Path, required=True, help="for what is made, and removed again")
    asked = parser.parse_args()
    print(f"{'inputs':>10} {'':24} {'CPU s':>9} {'s':>9} {'a CPU second':>12} {'MB':>8}")
    for number in asked.numbers:
        inside = asked.folder / f"archive{number}"
        inside.mkdir(parents=True)
        try:
            STEPS[asked.what](inside, number)
        finally:
            shutil.rmtree(inside)


if __name__ == "__main__":
    sys.exit(main())
