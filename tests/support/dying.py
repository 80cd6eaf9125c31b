"""A program for test_crash.py: runs that are killed, each in a process of its own, and the same command after them.

    python dying.py SCENE MODEL PHOTOS FOLDER

Torch is loaded once, and forked. Prints one JSON object a line, which the test judges.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from facetag import cli
from facetag.attributes import ATTRIBUTES
from facetag.formats.destination import unheeded
from facetag.images.discover import discover
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.model import load_model
from facetag.pipeline.engine import Engine
from facetag.pipeline.face_sources import located_by
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.question import question_of
from facetag.pipeline.stages import Cascade, Tagging
from facetag.runs.cache_key import cache_key_of
from facetag.runs.run import Document, Observers, run
from facetag.tagger import Tagger

PATIENCE = 60.0


def in_child(work):
    """Fork; the child does the work and ends with the code that it answers, 70 for an error. Answers its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        code = work()
    except BaseException as error:  # noqa: BLE001 - a forked test may not return into its parent's code
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        code = 70
    os._exit(code)


def ended(child):
    """The code that a child ended with; less than zero = the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def say(**facts):
    print(json.dumps(facts), flush=True)


class Scene:
    """A model, photographs, and one output in a folder of its own for every run."""

    def __init__(self, model, photos, folder):
        self.model_folder, self.images, self.folder = model, photos, Path(folder)
        self.model = load_model(model)

    def out(self, name):
        """An output where nothing is yet."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir()
        return self.folder / name / "tags.csv"

    def run(self, out, at=unheeded):
        tag = Tagging(Tagger(self.model), range(len(ATTRIBUTES)), self.model.thresholds)
        cascade, reading = (
            Cascade(located_by(LNetLocalizer(self.model)), tag),
            ReadSettings(batch=2, inference_workers=2),
        )
        basis = cache_key_of("predict", question_of(self.model))
        document = Document(str(out), "csv", ATTRIBUTES)
        run(discover([self.images]), Engine.of(cascade, reading), document, basis, observers=Observers(at=at))
        return 0

    def command(self, out, *words):
        return int(cli.run(["predict", self.images, "--model", self.model_folder, "--batch", "2", "-q",
                            "--out", str(out), *words]))  # fmt: skip

    def points(self, out):
        """The points that a run passes, by having a child write them down."""
        log = self.folder / "points"
        log.unlink(missing_ok=True)

        def at(point):
            with log.open("a") as stream:
                stream.write(point + "\n")

        assert ended(in_child(lambda: self.run(out, at))) == 0
        return log.read_text().split()


class Deadly:
    """Kills its process at one point of a run."""

    def __init__(self, number):
        self._left = number

    def __call__(self, point):
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def at_every_point(scene):
    """Of a first run, and of one that changes an older output."""
    whole = scene.out("whole")
    older = scene.out("older")
    photo, aside = Path(scene.images) / "000003.jpg", scene.folder / "aside.jpg"
    photo.rename(aside)
    scene.points(older)
    aside.rename(photo)
    scene_points = {"first": scene.points(whole)}
    shutil.copytree(older.parent, scene.folder / "copy")
    scene_points["update"] = scene.points(scene.folder / "copy" / "tags.csv")
    for kind, points in scene_points.items():
        for number, point in enumerate(points):
            out = scene.out("killed")
            if kind == "update":
                shutil.copytree(older.parent, out.parent, dirs_exist_ok=True)
            say(kind=kind, point=point, **killed_and_repeated(scene, out, number, whole.read_bytes()))


def killed_and_repeated(scene, out, number, whole):
    """A run that is killed at its point `number`, and the same again; how they ended and what they left."""
    before = out.read_bytes() if out.exists() else None
    died = ended(in_child(lambda: scene.run(out, Deadly(number))))
    after = out.read_bytes() if out.exists() else None
    again = ended(in_child(lambda: scene.run(out)))
    return {
        "died": died,
        "whole": after in (before, whole),
        "new": after == whole,
        "again": again,
        "equal": out.read_bytes() == whole,
        "left": sorted(os.listdir(out.parent)),
    }


def at_random(scene):
    """The command itself, killed from outside."""
    whole = scene.out("whole")
    start = time.monotonic()
    assert ended(in_child(lambda: scene.command(whole))) == 0
    lasts = time.monotonic() - start
    chance = random.Random(11)
    for _ in range(10):
        out = scene.out("killed")
        child = in_child(lambda out=out: scene.command(out))
        time.sleep(chance.uniform(0, 0.7 * lasts))  # the machine may be quicker by then
        os.kill(child, signal.SIGKILL)
        died = ended(child)
        again = ended(in_child(lambda out=out: scene.command(out)))
        say(
            died=died,
            again=again,
            equal=out.read_bytes() == whole.read_bytes(),
            left=sorted(name for name in os.listdir(out.parent) if not name.endswith(".run.json")),
        )


def two_at_once(scene):
    """One run that stays at its first commit; one beside it; one that waits until the first is killed."""
    out, flag = scene.out("two"), scene.folder / "flag"

    def stay(point):
        if point == "committed":
            flag.touch()
            time.sleep(PATIENCE)

    holder = in_child(lambda: scene.run(out, stay))
    while not flag.exists():
        time.sleep(0.01)
    start = time.monotonic()
    refused = ended(in_child(lambda: scene.command(out)))
    took = time.monotonic() - start
    waiter = in_child(lambda: scene.command(out, "--lock-wait", str(PATIENCE)))
    time.sleep(0.5)
    waits = os.waitpid(waiter, os.WNOHANG) == (0, 0)
    os.kill(holder, signal.SIGKILL)
    say(refused=refused, took=took, waits=waits, died=ended(holder), waited=ended(waiter), written=out.exists())


if __name__ == "__main__":
    torch.set_num_threads(1)  # a thread of the parent's pool would not be there in a child
    {"points": at_every_point, "random": at_random, "two": two_at_once}[sys.argv[1]](Scene(*sys.argv[2:]))
