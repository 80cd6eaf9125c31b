"""The run's record, OUT.run.json: what ran on what, how it was set, what came of it and how long it took."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from facetag.errors import UsageError, writing
from facetag.formats.destination import open_output

FORMAT = 1  #: of the record; another number means that a field is gone or means something else

ENDING = ".run.json"  #: of the record's name, after the output's
_LARGEST = 1 << 25  #: bytes of a record that are read: it names every path of the command line


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
        format: FORMAT.
        command: predict or localize.
        outcome: how it ended: finished, or stopped by what.
        started, ended: UTC, ISO 8601.
        versions: of facetag, Python and libraries (`cluster.versions`).
        system: as Python names it.
        model: its name and digest.
        device: what the nets ran on; none when every answer was known.
        options: all of the command's, by name, wherever they came from.
        cache_key, basis_digest: all that the answers depend on (`runs.cache_key`), and its SHA-256.
        counts: inputs by status, all statuses.
        inputs, faces: of the output.
        kept: inputs whose answers were known, from an earlier run or from an equal file in this one.
        new, changed: inputs that were looked at, without an earlier answer and with one.
        gone: inputs of the output before that are not in this one's.
        passed_over: files and folders that are no inputs, by reason.
        seconds: of the run, without loading the model.
        stages: seconds by stage; some run beside one another.
        images_per_second: of the inputs that were not kept.
    """

    command: str
    outcome: str
    started: str
    ended: str
    versions: Mapping[str, str]
    system: str
    model: Mapping[str, str]
    device: str
    options: Mapping[str, Any]
    basis: Mapping[str, Any]
    basis_digest: str
    counts: Mapping[str, int]
    inputs: int
    faces: int
    kept: int
    new: int
    changed: int
    gone: int
    passed_over: Mapping[str, int]
    seconds: float
    stages: Mapping[str, float]
    images_per_second: float
    format: int = FORMAT


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def text_of(record: RunRecord) -> str:
    """The record's core in one line."""
    parts = [
        f"{record.outcome} in {record.seconds:.1f} s",
        ", ".join(f"{stage} {taken:.1f} s" for stage, taken in record.stages.items()),
        f"{record.kept} known already",
        f"{record.images_per_second:.1f} images/s without them",
        f"model {record.model['name']} {record.model['digest'][:12]}",
        f"settings {record.basis_digest[:12]}",
        ", ".join(f"{name} {version}" for name, version in record.versions.items()),
    ]
    return "; ".join(parts)


def is_record(path: str, of: str | None = None) -> bool:
    """Whether what lies there is a run's record, of this output where one is named; no link to one."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            said = json.loads(stream.read(_LARGEST)) if stat.S_ISREG(status.st_mode) else None
    except (OSError, RecursionError, ValueError):
        return False
    if not isinstance(said, dict) or not {"command", "outcome", "versions"} <= set(said):
        return False
    options = said.get("options")
    return of is None or (isinstance(options, dict) and options.get("out") == of)


def refuse_other_files(path: str) -> None:
    """See, long before the record is written, that it replaces nothing else.

    Raises:
        UsageError: something that is no record lies there.
    """
    if os.path.lexists(path) and not is_record(path):
        raise UsageError(f"{path} is no run's record and would be replaced", "move it away, or choose another --out")


def write_record(record: RunRecord, path: str) -> None:
    """Write the record, whole or not at all.

    Raises:
        FacetagError: it cannot be written.
    """
    with open_output(path) as stream, writing(path):
        stream.write(json.dumps({"format": record.format, **asdict(record)}, indent=1, default=str) + "\n")
