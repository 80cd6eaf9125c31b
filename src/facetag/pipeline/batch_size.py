"""How many photographs are looked at together, when memory has a say in it."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MAX_INFERENCE_WORKERS = 4  #: each takes memory for what its nets answer
_MOST_ON_GPU = 3  #: each has graphs of its own
_PATIENCE = 16  #: full batches that have to go well before twice as many photographs are tried


def suiting(device: "torch.device") -> int:
    """Photographs to look at together on this device: on a GPU, where the nets want their groups filled, more."""
    return 64 if device.type == "cuda" else 16


def inference_workers(device: "torch.device", threads: int | None = None) -> int:
    """Batches to look at side by side with so many threads, torch's when not said: a CPU as many as leave the fewest
    threads without work; on a GPU one batch's nets run while others are cut out or have their faces chosen."""
    import torch

    threads = threads or torch.get_num_threads()
    if threads < 2:
        return 1
    if device.type == "cuda":
        return min(threads, _MOST_ON_GPU)
    return max(
        range(2, min(threads, _MAX_INFERENCE_WORKERS) + 1), key=lambda count: (count * (threads // count), count)
    )


class ExclusiveSection:
    """Of threads that look at batches: they join it, unless one has left it to have all memory to itself."""

    def __init__(self) -> None:
        self._joined, self._is_left = 0, False
        self._changed = Condition()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Inside, others may be as well."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_left)
            self._joined += 1
        try:
            yield
        finally:
            with self._changed:
                self._joined -= 1
                self._changed.notify_all()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Inside, nobody else is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_left)
            self._is_left = True
            self._changed.wait_for(lambda: not self._joined)
        try:
            yield
        finally:
            with self._changed:
                self._is_left = False
                self._changed.notify_all()


class BatchSize:
    """Halved when memory runs out, doubled again, up to the most, after a while without: one vast photograph among a
    million does not slow down the rest. No answer depends on it. Threads may share one.

    Attributes:
        most: photographs at first.
        now: photographs in the next batch.
        exclusive: those who look at batches.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._well = 0
        self._lock = Lock()
        self.exclusive = ExclusiveSection()

    @property
    def fraction(self) -> float:
        """Of the most."""
        return self.now / self.most

    def went_well(self, count: int) -> None:
        """A batch of this many was answered."""
        with self._lock:
            if count >= self.now < self.most:
                self._well += 1
                if self._well == _PATIENCE:
                    self._set(min(2 * self.now, self.most))

    def widen(self, most: int) -> None:
        """As many may be looked at together from now on."""
        with self._lock:
            self.now = most if self.now == self.most else self.now  # memory may have run out before
            self.most = most

    def ran_out(self, count: int) -> None:
        """A batch of this many did not fit; what it left behind is given back."""
        with self._lock:
            self._set(min(self.now, max(count // 2, 1)))  # of several at a time each may say so of the same size
        gc.collect()
        if "torch" in sys.modules:
            from facetag.networks.execution.gpu import clear_memory

            clear_memory()

    def _set(self, size: int) -> None:
        self.now, self._well = size, 0
