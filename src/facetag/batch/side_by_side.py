"""Batches looked at side by side by a few threads, their answers in order.

On a CPU two batches with half of the cores each are done sooner than one after the other with all: small layers do not
divide well, and between the nets a thread is busy with boxes.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

LOOKING = "look"  #: how the names of the threads begin

Batch = TypeVar("Batch")
Answers = TypeVar("Answers")


def side_by_side(
    batches: Iterable[Batch], look: Callable[[Batch], Answers], count: int, is_full: Callable[[Batch], bool]
) -> Generator[Answers, None, None]:
    """`look` at each batch, `count` of them at a time; after one that is not full no further is waited for, as none may
    come for long."""
    if count == 1:
        for batch in batches:
            yield look(batch)
        return
    pool = ThreadPoolExecutor(count, LOOKING)
    waiting: deque[Future[Answers]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(look, batch))
            least = count - 1 if is_full(batch) else 0
            del batch  # nor are photographs kept while the next ones gather
            while len(waiting) > least:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
