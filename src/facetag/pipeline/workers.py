"""Batches looked at side by side by a few threads, their answers in order.

On a CPU two batches with half of the cores each are done sooner than one after the other with all: small layers do not
divide well, and between the nets a thread is busy with boxes. A GPU has work meanwhile, each thread's in a stream of
its own.
"""

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import Any, TypeVar

import torch

THREAD_NAME = "look"  #: how the names of the threads begin

Batch = TypeVar("Batch")
Answers = TypeVar("Answers")


def in_parallel(
    batches: Generator[Batch, None, None], infer: Callable[[Batch], Answers], count: int
) -> Generator[Answers, None, None]:
    """`infer` at each batch, `count` of them at a time. Answers come as soon as those before them have; an error, of
    the batches or of `infer`, comes in its place. The batches are closed in the end, whatever that is."""
    if count > 1:
        yield from _by_threads(batches, infer, count)
        return
    with closing(batches):
        for batch in batches:
            answers = infer(batch)
            del batch  # nor are photographs kept while the next ones gather
            yield answers
            del answers


def _by_threads(
    batches: Generator[Batch, None, None], infer: Callable[[Batch], Answers], count: int
) -> Generator[Answers, None, None]:
    workers = _WorkerPool(batches, infer, count)
    try:
        workers.gathering.start()
        while future := workers.line.get():
            answers = future.result()
            del future
            workers.slots.release()
            yield answers
            del answers
    finally:
        workers.close()


class _WorkerPool:
    """A thread that gathers batches while there is a place for them, and those that look at them."""

    def __init__(self, batches: Generator[Any, None, None], infer: Callable[[Any], Any], count: int) -> None:
        self._batches, self._infer = batches, infer
        threads = max(torch.get_num_threads() // count, 1)
        self._pool = ThreadPoolExecutor(count, THREAD_NAME, _take_threads, (threads,))
        self._closed = False
        self.slots = Semaphore(count)
        self.line: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self.gathering = Thread(target=self._gather, name="gather")

    def close(self) -> None:
        """Nobody waits for what is still looked at."""
        self._closed = True
        self.slots.release()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self.gathering.ident:
            self.gathering.join()

    def _gather(self) -> None:
        try:
            with closing(self._batches):
                while not self._closed and self._next():
                    pass
            self.line.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes it out of the line
            failed: Future[Any] = Future()
            failed.set_exception(error)
            self.line.put(failed)

    def _next(self) -> bool:
        """Hand one batch over when there is a place; False when there is none any more."""
        self.slots.acquire()
        if self._closed:
            return False
        for batch in self._batches:
            self.line.put(self._pool.submit(self._infer, batch))
            return True
        return False


_COUNTING = Lock()


def _take_threads(count: int) -> None:
    """Let torch use so many threads for what this thread asks of it.

    Torch keeps the number by the asking thread, but threads to come take the last one that was said, so another thread
    says the old one again: the program that we run in finds it as it was.
    """
    with _COUNTING:
        found = torch.get_num_threads()
        torch.set_num_threads(count)
        restoring = Thread(target=torch.set_num_threads, args=(found,))
        restoring.start()
        restoring.join()
