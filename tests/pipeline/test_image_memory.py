import threading
import time

from facetag.pipeline.image_memory import ImageMemory


class Holder:
    pass


def claiming(memory, number, taken):
    """A thread that claims, and says so."""
    has = threading.Event()
    threading.Thread(target=lambda: (memory.claim(number, taken), has.set()), daemon=True).start()
    return has


def test_a_large_one_waits_until_those_before_it_are_let_go_of():
    memory, holder = ImageMemory(100), Holder()
    memory.claim(0, 90)
    memory.keep(0, holder, 50)
    second = claiming(memory, 1, 60)
    assert not second.wait(0.1)
    small = claiming(memory, 2, 1)  # behind a large one that waits, nobody overtakes
    assert not small.wait(0.1)
    del holder
    assert second.wait(5) and small.wait(5)


def test_two_that_fit_go_on_together():
    memory = ImageMemory(100)
    memory.claim(0, 40)
    assert claiming(memory, 1, 60).wait(5)


def test_one_that_is_too_large_for_all_memory_goes_alone():
    memory = ImageMemory(100)
    assert claiming(memory, 0, 500).wait(5)


def test_a_large_one_waits_for_claims_of_those_before_it():
    memory = ImageMemory(100)
    second = claiming(memory, 1, 50)
    assert not second.wait(0.1)
    with memory.passing(0):
        pass  # a file that claims nothing
    assert second.wait(5)


def test_a_failure_gives_back_what_it_claimed():
    memory = ImageMemory(100)
    try:
        with memory.passing(0):
            memory.claim(0, 90)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert claiming(memory, 1, 90).wait(5)


def test_nobody_waits_when_the_run_is_over():
    memory = ImageMemory(100)
    second = claiming(memory, 1, 90)
    time.sleep(0.05)
    memory.close()
    assert second.wait(5)
