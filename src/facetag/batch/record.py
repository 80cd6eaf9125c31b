"""The run's record, OUT.run.json: what ran on what, how it was set, what came of it and how long it took."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

from facetag import __version__
from facetag.batch.output import open_output
from facetag.errors import writing

#: Packages whose version may change an answer or the time that it takes.
LIBRARIES = ("torch", "numpy", "opencv-python", "pillow", "safetensors")

Outcome = Literal["finished", "interrupted", "stopped by --fail-on"]


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
        command: predict or localize.
        outcome: how it ended.
        started, ended: UTC, ISO 8601.
        versions: of facetag, Python and LIBRARIES.
        system: as Python names it.
        model: its name and digest.
        settings: all that was set, flat.
        settings_digest: of those that change an answer.
        device: what the nets ran on.
        counts: inputs by status, all statuses.
        inputs, faces: of the output.
        kept: inputs whose answers were known from an earlier run.
        seconds: of the run, without loading the model.
        stages: seconds by stage; some run beside one another.
        images_per_second: of the inputs that were not kept.
    """

    command: str
    outcome: Outcome
    started: str
    ended: str
    versions: Mapping[str, str]
    system: str
    model: Mapping[str, str]
    settings: Mapping[str, Any]
    settings_digest: str
    device: str
    counts: Mapping[str, int]
    inputs: int
    faces: int
    kept: int
    seconds: float
    stages: Mapping[str, float]
    images_per_second: float


def versions() -> dict[str, str]:
    """Of facetag, Python and LIBRARIES, as installed; nothing is imported for it."""
    return {
        "facetag": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def record_path(out: str) -> str:
    """Where the record of the run that writes `out` lies."""
    return f"{out}.run.json"


def write_record(record: RunRecord, path: str) -> None:
    """Write the record, whole or not at all.

    Raises:
        FacetagError: it cannot be written.
    """
    with open_output(path) as stream, writing(path):
        stream.write(json.dumps(asdict(record), indent=1) + "\n")
