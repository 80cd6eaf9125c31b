import threading
import time

import pytest

from facetag.batch.backoff import lookers
from facetag.batch.side_by_side import LOOKING, side_by_side


def full(batch: int) -> bool:
    return True


@pytest.mark.parametrize("count", [1, 2, 4])
def test_answers_come_in_order_however_long_each_takes(count: int) -> None:
    def look(batch: int) -> int:
        time.sleep(0.004 * (batch % 3))
        return 10 * batch

    assert list(side_by_side(range(20), look, count, full)) == [10 * batch for batch in range(20)]


def test_as_many_are_looked_at_together_as_there_are_lookers() -> None:
    together = threading.Barrier(3)

    def look(batch: int) -> int:
        together.wait(timeout=10)  # passes only when three are here
        return batch

    assert list(side_by_side(range(9), look, 3, full)) == list(range(9))


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_batches_are_taken_than_lookers_are_free(count: int) -> None:
    taken = []

    def batches():
        for number in range(10):
            taken.append(number)
            yield number

    answers = side_by_side(batches(), lambda batch: batch, count, full)
    assert next(answers) == 0
    assert len(taken) == count
    answers.close()


def test_nobody_waits_for_what_follows_a_batch_that_is_not_full() -> None:
    answered = threading.Event()

    def batches():
        yield 1
        assert answered.is_set()  # asked for only when the first is out
        yield 2

    answers = side_by_side(batches(), lambda batch: batch, 2, lambda batch: False)
    assert next(answers) == 1
    answered.set()
    assert list(answers) == [2]


def test_an_error_takes_its_place_in_the_order() -> None:
    def look(batch: int) -> int:
        if batch == 2:
            raise RuntimeError("no")
        return batch

    answers = side_by_side(range(5), look, 2, full)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(RuntimeError, match="no"):
        next(answers)


def test_who_stops_early_does_not_wait_for_what_is_looked_at() -> None:
    goes_on = threading.Event()

    def look(batch: int) -> int:
        if batch:
            goes_on.wait(30)
        return batch

    answers = side_by_side(range(3), look, 2, full)
    assert next(answers) == 0
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 5
    assert any(thread.name.startswith(LOOKING) for thread in threading.enumerate())
    goes_on.set()


def test_a_gpu_does_one_after_the_other() -> None:
    import torch

    assert lookers(torch.device("cuda"), 16) == 1
    assert [lookers(torch.device("cpu"), threads) for threads in (0, 1, 2, 3, 64)] == [1, 1, 2, 3, 4]
