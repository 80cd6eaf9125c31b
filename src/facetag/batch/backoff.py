"""How many photographs are looked at together, when memory has a say in it."""

import gc
from functools import cache
from threading import Lock

import torch

_MOST_LOOKERS = 4  #: each takes memory for what its nets answer
_PATIENCE = 16  #: full batches that have to go well before twice as many photographs are tried


def suiting(device: torch.device) -> int:
    """Photographs to look at together on this device: on a GPU, where the nets want their groups filled, more."""
    return 64 if device.type == "cuda" else 16


@cache
def threads_at_first() -> int:
    """Threads that torch had when this was first asked, as the machine or the environment says."""
    return torch.get_num_threads()


def lookers(device: torch.device, threads: int) -> int:
    """Batches to look at side by side with so many threads: a GPU does one after the other."""
    return 1 if device.type == "cuda" else min(max(threads, 1), _MOST_LOOKERS)


class BatchSize:
    """Halved when memory runs out, doubled again, up to the most, after a while without: one vast photograph among a
    million does not slow down the rest. No answer depends on it. Threads may share one.

    Attributes:
        most: photographs at first.
        now: photographs in the next batch.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._well = 0
        self._lock = Lock()

    @property
    def share(self) -> float:
        """Of the most."""
        return self.now / self.most

    def went_well(self, count: int) -> None:
        """A batch of this many was answered."""
        with self._lock:
            if count >= self.now < self.most:
                self._well += 1
                if self._well == _PATIENCE:
                    self._set(min(2 * self.now, self.most))

    def ran_out(self, count: int) -> None:
        """A batch of this many did not fit; what it left behind is given back."""
        with self._lock:
            self._set(max(min(count, self.now) // 2, 1))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _set(self, size: int) -> None:
        self.now, self._well = size, 0
