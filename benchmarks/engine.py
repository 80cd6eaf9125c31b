"""What the batch engine costs: images/s beside the same stages run bare, time by stage, peak memory.

    python benchmarks/engine.py                            synthetic photographs, a tiny random model
    python benchmarks/engine.py --photos DIR --model faithful

"Bare" is the cascade called on decoded batches that lie in memory. The engine decodes the same files beside it, keeps
their order and writes CSV. Both run in turns within one process, so that whatever else the machine does falls on both;
the cost is the median over turns of engine / bare - 1. On a busy machine the two other costs say more. Peak memory is
that of `facetag predict --out tags.csv`, a process of its own for each number of photographs.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from photographs import make_photographs  # noqa: E402

from facetag.attributes import ATTRIBUTES  # noqa: E402
from facetag.formats.writers import WRITERS  # noqa: E402
from facetag.images.discover import discover  # noqa: E402
from facetag.model import load_model, save_model  # noqa: E402
from facetag.pipeline.items import LoadedImage  # noqa: E402
from facetag.pipeline.loader import ReadSettings, read  # noqa: E402
from facetag.pipeline.stages import Cascade, answers  # noqa: E402
from facetag.pipeline.timing import Stage, Stopwatch  # noqa: E402
from facetag.predictor import FaceTagger  # noqa: E402
from models import CARD, tiny_model  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of photographs; else synthetic ones")
    parser.add_argument("--model", help="model folder or name; else a tiny random one")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--workers", type=int, default=1, help="threads that decode")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--count", type=int, default=200, help="photographs in one turn, at most")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), help="of synthetic photographs")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=(1000, 10000), help="numbers of photographs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        photos = options.photos or make_photographs(place / "photos", options.count, options.size)
        paths = list(discover([str(photos)]))[: options.count]
        model = load_model(options.model) if options.model else tiny_model()
        settings = ReadSettings(workers=options.workers, batch=options.batch)
        report_speed(paths, FaceTagger(model, device=options.device).cascade, settings, options.turns)
        named = options.model or save_model(model, place / "tiny", CARD) or str(place / "tiny")
        for number in options.memory:
            report_memory(place, number, named, options)


def report_speed(paths: Sequence[str], cascade: Cascade, settings: ReadSettings, turns: int) -> None:
    batches = in_memory(paths, settings)
    costs, rates = [], []
    for turn in range(turns + 1):
        clock = Stopwatch()
        decode = timed(lambda: in_memory(paths, settings))
        bare = timed(lambda: [cascade(batch) for batch in batches])
        engine = timed(lambda clock=clock: run_engine(paths, cascade, settings, clock))
        if turn:  # the first warms up
            rates.append((len(paths) / bare[0], len(paths) / engine[0], len(paths) / decode[0]))
            inside = sum(clock.seconds[stage] for stage in (Stage.LNET_O, Stage.LNET_S, Stage.CENTER_NET, Stage.ANET))
            costs.append((engine[0] / bare[0] - 1, (engine[1] - decode[1]) / bare[1] - 1, 1 - inside / engine[0]))
    print(f"{len(paths)} photographs, {torch.get_num_threads()} threads of torch, {settings.workers} that decode")
    for name, rate in zip(("bare", "engine", "decode"), map(statistics.median, zip(*rates, strict=True)), strict=True):
        print(f"{name:7} {rate:8.1f} images/s{' by one thread' * (name == 'decode')}")
    words = ("% of time", "% of processor time, decoding not counted", "% of its time outside the nets")
    for text, cost in zip(words, map(statistics.median, zip(*costs, strict=True)), strict=True):
        print(f"cost    {100 * cost:8.1f} {text}")
    print("stages  " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in clock.seconds.items() if seconds))


def in_memory(paths: Sequence[str], settings: ReadSettings) -> list[list[LoadedImage]]:
    photos = [item for path in paths if isinstance(item := read(path, settings), LoadedImage)]
    return [photos[start : start + settings.batch] for start in range(0, len(photos), settings.batch)]


def run_engine(paths: Sequence[str], cascade: Cascade, settings: ReadSettings, clock: Stopwatch) -> None:
    writer = WRITERS["csv"](io.StringIO(), ATTRIBUTES)
    for answer in answers(paths, cascade, settings, clock):
        writer.write(answer.record)
    writer.finish()


def timed(work) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def report_memory(place: Path, number: int, model: str, options: argparse.Namespace) -> None:
    photos = make_photographs(place / f"photos-{number}", number, options.size)
    command = ["predict", str(photos), "--out", str(place / f"{number}.csv"), "--model", model, "-q"]
    command += ["--device", options.device, "--workers", str(options.workers), "--batch", str(options.batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    start = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, "-m", "facetag", *command], environment)
    _, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "facetag failed"
    rate = number / (time.perf_counter() - start)
    print(f"memory  {usage.ru_maxrss / 1024:8.0f} MB at most for {number} photographs, {rate:.1f} images/s")


if __name__ == "__main__":
    main()
