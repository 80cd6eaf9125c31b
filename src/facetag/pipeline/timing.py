"""Where a run's time goes: seconds by stage, for its record. A value that is passed in; nothing here is global."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from threading import Lock


class Stage(StrEnum):
    """What a run does with its time."""

    DISCOVER = "discover"  #: the next path: folders listed, lists waited for; in its own thread
    DECODE = "decode"  #: read and decode; in several threads, whose seconds add up
    WAIT = "wait"  #: nothing decoded was there to be looked at
    LNET_O = "lnet_o"  #: heads, with the scaling before and the windows after
    LNET_S = "lnet_s"  #: faces, likewise
    CENTER_NET = "center_net"  #: faces in one look, in place of both
    ANET = "anet"  #: attributes, likewise, and decoding again what small faces want more pixels of
    WRITE = "write"  #: records, drawings and whatever else becomes of them


class Stopwatch:
    """Adds up seconds by stage; threads may share one.

    DISCOVER and DECODE run beside the others. Where one batch is looked at after the other, these add up to about the
    whole run's time; where several are side by side, to that times as many.
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(Stage, 0.0)
        self._lock = Lock()

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Counts the time inside towards a stage, also when it ends in an error."""
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            with self._lock:
                self._seconds[stage] += taken

    def add(self, seconds: Mapping[Stage, float]) -> None:
        """What another one counted, on another machine."""
        with self._lock:
            for stage, taken in seconds.items():
                self._seconds[stage] += taken

    @property
    def seconds(self) -> dict[Stage, float]:
        """So far, every stage in the order of Stage."""
        with self._lock:
            return dict(self._seconds)
