"""Inputs are listed ahead of their use, no further than memory allows."""

import itertools
import threading
import time

import pytest

from facetag.runs.listing import Listing


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_same_paths_come_and_their_number_is_known_before_the_first_is_used():
    listing = Listing(["a", "b", "c"])
    paths = iter(listing)
    assert next(paths) == "a"
    wait_until(lambda: listing.is_whole)
    assert listing.listed == 3 and list(paths) == ["b", "c"]


def test_only_what_counts_is_counted():
    listing = Listing(["a", "b", "c"], lambda path: path == "b")
    assert list(listing) == ["a", "b", "c"] and listing.listed == 1


def test_an_endless_list_is_read_no_further_than_so_far_ahead_and_left_when_nobody_asks():
    drawn = itertools.count()
    listing = Listing((str(next(drawn)) for _ in itertools.repeat(None)), ahead=10)
    paths = iter(listing)
    assert next(paths) == "0"
    wait_until(lambda: listing.listed == 12)  # given out, waiting, and in hand
    time.sleep(0.05)
    assert listing.listed == 12 and not listing.is_whole
    paths.close()
    wait_until(lambda: not any(thread.name == "list" for thread in threading.enumerate()))


def test_an_error_comes_out_where_the_paths_do():
    def paths():
        yield "a"
        raise OSError("no more")

    listing, found = Listing(paths()), []
    with pytest.raises(OSError, match="no more"):
        found.extend(listing)
    assert found in ([], ["a"]) and not listing.is_whole
