"""What taggers.py measured, as rates, as a table and as JSON."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import Any

import machine
import torch
from contestants import LIMITS
from pictures import Pictures

from facetag.evaluate.report import Table, plain_text

COLUMNS = (
    "", "answers", "faces an image", "steady images/s", "slowest to fastest", "command images/s", "first record, s",
)  # fmt: skip


@dataclass
class Timed:
    """What became of a contestant: seconds a turn by job, faces in the 2 N files, or why it is not measured."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    faces: int = 0
    reason: str = ""

    def an_image(self, count: int) -> list[float]:
        """Steady seconds an image in each turn, when the jobs were on `count` files and twice as many."""
        long = self.seconds["long"]
        if "short" not in self.seconds:
            return [each / (2 * count) for each in long]
        return [(twice - once) / count for twice, once in zip(long, self.seconds["short"], strict=True)]


@dataclass(frozen=True)
class Measured:
    """One set of photographs: everyone's times, and multiply-adds an image by model."""

    images: Pictures
    files: Mapping[str, float]
    answers: Mapping[str, str]
    timed: Mapping[str, Timed]
    multiply_adds: Mapping[str, float]

    def steady(self, name: str) -> float:
        """Images a second; nan where turns differ by more than N files take, or nothing was measured."""
        return rate(self._an_image(name, statistics.median))

    def extremes(self, name: str) -> tuple[float, float]:
        """Images a second in the slowest turn and in the fastest."""
        return rate(self._an_image(name, max)), rate(self._an_image(name, min))

    def _an_image(self, name: str, of: Callable[[Sequence[float]], float]) -> float:
        timed = self.timed[name]
        return nan if timed.reason else of(timed.an_image(self.images.count))

    def command(self, name: str) -> float:
        """Images a second of the whole command on 2 N files; nan for what is no command."""
        seconds = self.timed[name].seconds if not self.timed[name].reason else {}
        return 2 * self.images.count / statistics.median(seconds["long"]) if "short" in seconds else nan

    def first(self, name: str) -> float:
        """Seconds to the first record; nan for what is no command."""
        seconds = self.timed[name].seconds if not self.timed[name].reason else {}
        return statistics.median(seconds["first"]) if "first" in seconds else nan

    def multiply_adds_a_second(self, limit: str) -> float:
        """The machine's rate in one of the LIMITS."""
        return 1 / statistics.median(self.timed[limit].seconds["long"])

    def allowed(self, name: str, limit: str) -> float:
        """Images a second that a model's multiply-adds allow at that rate."""
        return self.multiply_adds_a_second(limit) / self.multiply_adds[name]

    def share(self, name: str, limit: str) -> float:
        """How much of that a model reaches."""
        return self.steady(name) / self.allowed(name, limit)


def rate(seconds: float) -> float:
    """A second's; nan of no time or less, which noise can make of a difference."""
    return 1 / seconds if seconds > 0 else nan


def facts_of(files: Sequence[Path]) -> dict[str, float]:
    """How many files, and what they are in the mean: megapixels and kilobytes."""
    pixels = [machine.pixels_of(file) for file in files]
    sizes = [file.stat().st_size for file in files]
    return {
        "files": len(files),
        "megapixels": statistics.mean(pixels) / 1e6,
        "kilobytes": statistics.mean(sizes) / 1e3,
    }


def table(measured: Measured, turns: int) -> Table:
    """A row a system and one a decoder."""
    facts = measured.files
    title = (
        f"{measured.images.title}: {facts['files']} JPEG files of {facts['megapixels']:.2f} megapixels and "
        f"{facts['kilobytes']:.0f} kB in the mean; medians of {turns} turns"
    )
    shown = [name for name, timed in measured.timed.items() if not timed.reason and name not in LIMITS]
    return Table(title, COLUMNS, [_row(measured, name) for name in shown])


def _row(measured: Measured, name: str) -> tuple[str, ...]:
    slowest, fastest = measured.extremes(name)
    answers = measured.answers[name]
    faces = measured.timed[name].faces / measured.files["files"] if answers else nan
    turns = "-" if isnan(slowest) or isnan(fastest) else f"{digits(slowest)} to {digits(fastest)}"
    figures = (measured.steady(name), turns, measured.command(name), measured.first(name))
    return (name, answers, digits(faces), *(each if isinstance(each, str) else digits(each) for each in figures))


def digits(value: float) -> str:
    """Three of them."""
    return "-" if isnan(value) else f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def allowance(measured: Measured) -> Table:
    """A row a model: what its multiply-adds allow on this machine, and how much of it it reaches."""
    rates = (f"{digits(2e-9 * measured.multiply_adds_a_second(limit))} GFLOP/s in {limit}" for limit in LIMITS)
    title = (
        f"What operations allow at {' and '.join(rates)}, float32 by {torch.get_num_threads()} threads, two operations "
        "a multiply-add"
    )
    limits = (column for limit in LIMITS for column in (f"allowed by {limit}", "share, percent"))
    columns = ("", "million multiply-adds an image", "steady images/s", *limits)
    return Table(title, columns, [_allowed(measured, name) for name in measured.multiply_adds])


def _allowed(measured: Measured, name: str) -> tuple[str, ...]:
    limits = [each for limit in LIMITS for each in (measured.allowed(name, limit), 100 * measured.share(name, limit))]
    return (name, *map(digits, (measured.multiply_adds[name] / 1e6, measured.steady(name), *limits)))


def report(measured: Measured, turns: int) -> str:
    """All of a set as text."""
    missing = [f"not measured: {name}: {timed.reason}" for name, timed in measured.timed.items() if timed.reason]
    return "\n".join([plain_text(table(measured, turns)), *missing, plain_text(allowance(measured))])


def as_json(measured: Measured) -> dict[str, Any]:
    """All of a set, every turn's seconds among it."""
    return {
        "title": measured.images.title,
        **measured.files,
        "gflops": {limit: 2e-9 * measured.multiply_adds_a_second(limit) for limit in LIMITS},
        "systems": {name: _system(measured, name) for name in measured.timed},
    }


def _system(measured: Measured, name: str) -> dict[str, Any]:
    timed = measured.timed[name]
    if timed.reason:
        return {"not_measured": timed.reason}
    if name in LIMITS:
        return {"seconds_a_multiply_add": timed.seconds["long"]}
    counted = name in measured.multiply_adds
    return {
        "answers": measured.answers[name],
        "seconds": timed.seconds,
        "faces": timed.faces,
        "steady_images_per_second": measured.steady(name),
        "command_images_per_second": measured.command(name),
        "first_record_seconds": measured.first(name),
        "multiply_adds_per_image": measured.multiply_adds[name] if counted else None,
        "share_of_allowed": {limit: measured.share(name, limit) for limit in LIMITS} if counted else None,
    }
