"""How fast taggers are, facetag and rivals on the same JPEG files in one run: the table in docs/benchmarks.md.

    python benchmarks/taggers.py --environments ~/rivals --photos data/webfaces --json speed.json

From files on disk to a CSV file on disk. facetag is timed as people run it, `facetag predict FOLDER --out tags.csv`, a
new process each time, on N files and on 2 N:
    steady      N over what the second N files took: long runs go at this rate
    command     2 N over the whole time of the longer run, with starting Python and loading the model
    first       seconds from starting the command until the record of a lone photograph is there
A rival is one process that has loaded its models and looked at a file before it is timed on the 2 N files; so its rate
is steady. It runs in an environment of its own, made in the folder given and used again; what cannot be installed or
ends in an error is reported as not measured, with the reason. Nobody's threads are set: everyone has the library's own.

All take turns, begun by another in each turn; medians over turns. In the same turns: facetag's decoder alone, and
products of float32 matrices, whose rate says how many images/s a model's multiply-adds would allow at most.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import machine
import pictures
from contestants import RIVALS, Contestant, contestant_of, facetag, of_the_machine, start_rivals
from environments import Process
from pictures import Pictures
from speed_report import Measured, Timed, as_json, facts_of, report

from facetag.cluster.versions import versions
from facetag.errors import FacetagError
from facetag.evaluate.report import to_json
from facetag.model import load_model


def take_turns(contestants: Sequence[Contestant], turns: int) -> dict[str, Timed]:
    """Everyone's jobs in each turn, begun by the next one each time; whoever fails is left out from then on."""
    timed = {one.name: Timed() for one in contestants}
    for one in contestants:
        _attempt(timed[one.name], one.warm)
    for turn in range(turns):
        first = turn % len(contestants)
        for place, one in enumerate([*contestants[first:], *contestants[:first]]):
            _say(f"turn {turn + 1} of {turns}, {place + 1} of {len(contestants)}: {one.name}")
            _attempt(timed[one.name], partial(_work, one, timed[one.name]))
    return timed


def _attempt(timed: Timed, work: Callable[[], object]) -> None:
    if not timed.reason:
        try:
            work()
        except FacetagError as error:
            timed.reason = str(error)


def _work(one: Contestant, timed: Timed) -> None:
    for job, work in one.jobs.items():
        taken = work()
        timed.seconds.setdefault(job, []).append(taken.seconds)
        if job == "long":
            timed.faces = taken.faces


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def host() -> dict[str, Any]:
    """The machine and what facetag runs on; the load is that before anything was timed."""
    return {
        "processor": machine.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch_threads": torch.get_num_threads(),
        "versions": versions(),
    }


def sets_of(asked: argparse.Namespace, folder: Path) -> Iterator[Pictures]:
    """The sets of photographs, each made when its turn comes."""
    for side in asked.sides:
        yield pictures.made(folder / str(side), side, asked.count)
    if asked.photos:
        yield pictures.sampled(folder / "photos", asked.photos, asked.count)


def measure(
    photographs: Pictures, models: Sequence[str], rivals: Mapping[str, Process | str], turns: int, folder: Path
) -> Measured:
    """Everyone on one set; a rival that has no process has a reason."""
    ours, multiply_adds, reasons = _ours(photographs, models, folder)
    others = []
    for name, process in rivals.items():
        if isinstance(process, str):
            reasons[name] = process
        else:
            others.append(contestant_of(name, RIVALS[name], process, photographs, folder))
    contestants = [*ours, *others, *of_the_machine(photographs)]
    timed = take_turns(contestants, turns)
    failed = {name: Timed(reason=reason) for name, reason in reasons.items()}
    answers = {one.name: one.answers for one in contestants}
    return Measured(photographs, facts_of(photographs.files), answers, {**timed, **failed}, multiply_adds)


def _ours(
    photographs: Pictures, models: Sequence[str], folder: Path
) -> tuple[list[Contestant], dict[str, float], dict[str, str]]:
    """facetag with each model, the models' multiply-adds an image, and why a model is not measured."""
    contestants, multiply_adds, reasons = [], {}, {}
    for model in models:
        try:
            one = facetag(model, photographs, folder)
            multiply_adds[one.name] = machine.multiply_adds(load_model(model), sorted(photographs.short.iterdir()))
            contestants.append(one)
        except FacetagError as error:
            reasons[f"facetag {model}"] = str(error)
    return contestants, multiply_adds, reasons


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, required=True, help="folder for the rivals' environments")
    parser.add_argument("--models", nargs="*", default=("faithful", "fast"), help="names or folders")
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=tuple(RIVALS), metavar="NAME")
    parser.add_argument("--sides", type=int, nargs="*", default=(300, 1024), help="of the photographs that are made")
    parser.add_argument("--photos", type=Path, help="a folder of photographs, from which some are taken")
    parser.add_argument(
        "--count", type=int, default=96, help="N: each set has 2 N files; whole batches of 16 for each core"
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write every figure here")
    return parser.parse_args()


def main() -> None:
    asked, facts = arguments(), host()
    print(f"{facts['processor']}, {facts['cores']} cores, load {facts['load']:.2f} before", flush=True)
    found = []
    with TemporaryDirectory() as place, ExitStack() as stack:
        rivals = start_rivals(asked.rivals, asked.environments, stack)
        for photographs in sets_of(asked, Path(place)):
            measured = measure(photographs, asked.models, rivals, asked.turns, Path(place))
            print(f"\n{report(measured, asked.turns)}", flush=True)
            found.append(as_json(measured))
    if asked.json:
        installed = {
            name: (*RIVALS[name].environment.requirements, *RIVALS[name].environment.packages) for name in rivals
        }
        asked.json.write_text(
            to_json({**facts, "turns": asked.turns, "rivals": installed, "sets": found}) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    try:
        main()
    except FacetagError as error:
        sys.exit(f"error: {error}")
