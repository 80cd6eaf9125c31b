import threading
import time
import weakref

import pytest
import torch

from facetag.pipeline.batch_size import BatchSize, ExclusiveSection, inference_workers
from facetag.pipeline.workers import THREAD_NAME, in_parallel

COUNTS = [1, 2, 4]


def numbers(count):
    yield from range(count)


@pytest.mark.parametrize("count", COUNTS)
def test_answers_come_in_order_however_long_each_takes(count):
    def look(batch):
        time.sleep(0.004 * (batch % 3))
        return 10 * batch

    assert list(in_parallel(numbers(20), look, count)) == [10 * batch for batch in range(20)]


def test_as_many_are_looked_at_together_as_there_are_lookers():
    together = threading.Barrier(3)

    def look(batch):
        together.wait(timeout=10)  # passes only when three are here
        return batch

    assert list(in_parallel(numbers(9), look, 3)) == list(range(9))


@pytest.mark.parametrize("count", COUNTS)
def test_no_more_batches_are_taken_than_lookers_are_free(count):
    taken, goes_on = [], threading.Event()

    def batches():
        for number in range(10):
            taken.append(number)
            yield number

    def look(batch):
        goes_on.wait(0.3)
        return batch

    answers = in_parallel(batches(), look, count)
    assert next(answers) == 0
    assert len(taken) <= count + (count > 1)  # the place of the first is free again
    goes_on.set()
    answers.close()


@pytest.mark.parametrize("count", COUNTS)
def test_an_answer_waits_for_no_further_batch(count):
    answered = threading.Event()

    def batches():
        yield 1
        assert answered.wait(10)  # as when the next photograph is long in coming
        yield 2

    answers = in_parallel(batches(), lambda batch: batch, count)
    assert next(answers) == 1
    answered.set()
    assert list(answers) == [2]


@pytest.mark.parametrize("count", COUNTS)
def test_an_error_of_looking_takes_its_place_in_the_order(count):
    def look(batch):
        if batch == 2:
            raise RuntimeError("no")
        return batch

    answers = in_parallel(numbers(5), look, count)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(RuntimeError, match="no"):
        next(answers)


@pytest.mark.parametrize("count", COUNTS)
def test_so_does_one_of_the_batches(count):
    def batches():
        yield from range(3)
        raise OSError("the list ended badly")

    answers = in_parallel(batches(), lambda batch: batch, count)
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the list ended badly"):
        next(answers)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("end", ["all", "stop", "error"])
def test_batches_are_closed_whatever_the_end(count, end):
    closed = []

    def batches():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    def look(batch):
        if end == "error" and batch == 3:
            raise ValueError("three")
        return batch

    answers = in_parallel(batches(), look, count)
    if end == "stop":
        next(answers)
        answers.close()
    elif end == "all":
        assert len(list(answers)) == 100
    else:
        with pytest.raises(ValueError, match="three"):
            list(answers)
    assert closed == [True]


@pytest.mark.parametrize("count", COUNTS)
def test_batches_and_answers_are_forgotten(count):
    class Thing:
        pass

    things = []

    def batches():
        for _ in range(6):
            things.append(weakref.ref(thing := Thing()))
            yield thing
            del thing
            assert sum(thing() is not None for thing in things) <= count + (count > 1)

    assert len([len(things) for _ in in_parallel(batches(), lambda batch: None, count)]) == 6


@pytest.mark.timing
def test_who_stops_early_does_not_wait_for_what_is_looked_at():
    has_faces, goes_on = threading.Event(), threading.Event()

    def look(batch):
        if batch:
            has_faces.set()
            goes_on.wait(30)
        return batch

    answers = in_parallel(numbers(3), look, 2)
    assert next(answers) == 0
    assert has_faces.wait(10)  # the second batch may not be taken yet when the first is answered
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 5
    assert any(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())
    goes_on.set()


def test_on_a_gpu_three_look_and_a_cpu_leaves_few_threads_idle():
    assert [inference_workers(torch.device("cuda"), threads) for threads in (1, 2, 3, 16)] == [1, 2, 3, 3]
    counts = [inference_workers(torch.device("cpu"), threads) for threads in (1, 2, 3, 4, 5, 6, 8, 9, 64)]
    assert counts == [1, 2, 3, 4, 4, 3, 4, 3, 4]


def test_several_that_run_out_together_halve_once():
    size = BatchSize(16)
    for _ in range(4):
        size.ran_out(16)
    assert size.now == 8
    size.ran_out(3)
    assert size.now == 1
    size.ran_out(8)
    assert size.now == 1


def test_who_leaves_the_company_is_alone():
    company, inside, most = ExclusiveSection(), [], []

    def join(number):
        for _ in range(30):
            with company.joined():
                inside.append(number)
                time.sleep(0.0005)
                inside.remove(number)

    def leave():
        for _ in range(10):
            with company.left():
                most.append(len(inside))
                time.sleep(0.001)
                most.append(len(inside))

    threads = [threading.Thread(target=join, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=leave) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [0] * 40
