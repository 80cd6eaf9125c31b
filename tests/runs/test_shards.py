import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import UsageError
from facetag.runs.shards import WHOLE, Enumeration, Shard

paths = st.lists(st.binary(min_size=1).map(os.fsdecode), max_size=20, unique=True)


@given(paths, st.integers(1, 5))
def test_every_path_is_in_one_shard_and_keeps_its_place(given_paths, count):
    shards = [Enumeration(given_paths, Shard(index, count)) for index in range(1, count + 1)]
    found = [(path, place) for shard in shards for path, place in zip(list(shard), shard.indices.values(), strict=True)]
    assert sorted(found, key=lambda each: each[1]) == [(path, place) for place, path in enumerate(given_paths)]
    assert {(shard.inputs, shard.digest) for shard in shards} == {(len(given_paths), shards[0].digest)}


def test_shards_are_of_like_size():
    sizes = Counter(index for number in range(4000) for index in range(1, 5) if Shard(index, 4).keeps(f"{number}.jpg"))
    assert sum(sizes.values()) == 4000 and min(sizes.values()) > 900


def test_the_digest_tells_lists_apart():
    lists = [], ["a"], ["b"], ["a", "b"], ["b", "a"], ["ab"], ["a\n", "b"]
    digests = set()
    for each in lists:
        whole = Enumeration(each, WHOLE)
        assert list(whole) == each
        digests.add(whole.digest)
    assert len(digests) == len(lists)


def test_paths_are_read_no_further_than_asked():
    whole = Enumeration(iter("abc"), WHOLE)
    assert next(iter(whole)) == "a" and whole.inputs == 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "1.0/2", " 1/2", "01/2", "1/2\n"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(UsageError, match=r"is not i/n with i from 1 to n; write --shard 1/4"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read():
    assert str(Shard.parse("2/10")) == "2/10" and Shard.parse("1/1") == WHOLE
