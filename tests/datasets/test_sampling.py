from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.datasets.sampling import IdentityBatches, shuffled_batches
from facetag.errors import DataError, UsageError

IDENTITIES = st.lists(st.integers(0, 12), min_size=2, max_size=80).map(np.array)


def enough(identities: np.ndarray, world: int = 1) -> bool:
    return sum(count > 1 for count in Counter(identities.tolist()).values()) >= world


@given(IDENTITIES.filter(enough), st.integers(1, 6), st.integers(1, 6), st.integers(0, 3))
def test_a_batch_is_p_identities_with_k_distinct_images(identities: np.ndarray, p: int, k: int, epoch: int) -> None:
    sizes = Counter(identities.tolist())
    usable = sum(count > 1 for count in sizes.values())
    batches = IdentityBatches(identities, p, k, seed=0).batches(epoch)
    assert len(batches) == usable // min(p, usable)
    drawn: Counter[int] = Counter()
    for batch in batches:
        found = Counter(identities[batch].tolist())
        assert len(set(batch)) == len(batch)
        assert len(found) == min(p, usable)
        assert all(count == min(k, sizes[identity]) and sizes[identity] > 1 for identity, count in found.items())
        drawn.update(found.keys())
    assert set(drawn.values()) == {1}  # an identity comes once in an epoch


@given(IDENTITIES.filter(lambda identities: enough(identities, 2)), st.integers(1, 3), st.integers(1, 5))
def test_ranks_share_the_joint_batch_by_whole_identities(identities: np.ndarray, half: int, k: int) -> None:
    ranks = [IdentityBatches(identities, 2 * half, k, 5, rank, 2).batches(3) for rank in (0, 1)]
    joint = IdentityBatches(identities, 2 * half, k, 5)
    assert len(ranks[0]) == len(ranks[1])
    for a, b in zip(*ranks, strict=True):
        assert not set(identities[a]) & set(identities[b])
        assert len(set(identities[a])) == len(set(identities[b]))
    usable = sum(count > 1 for count in Counter(identities.tolist()).values())
    if usable >= 2 * half or usable % 2 == 0:  # else one process alone would use one identity more
        assert [a + b for a, b in zip(*ranks, strict=True)] == joint.batches(3)


def test_epochs_differ_and_come_again() -> None:
    identities = np.repeat(np.arange(40), 6)
    sampler = IdentityBatches(identities, 4, 3, seed=1)
    assert len(sampler) == 10
    assert sampler.batches(2) == sampler.batches(2) == IdentityBatches(identities, 4, 3, seed=1).batches(2)
    assert sampler.batches(0) != sampler.batches(1)
    assert sampler.batches(0) != IdentityBatches(identities, 4, 3, seed=2).batches(0)
    seen = {image for epoch in range(30) for batch in sampler.batches(epoch) for image in batch}
    assert seen == set(range(240))


def test_identities_that_make_no_pair_are_refused() -> None:
    with pytest.raises(DataError, match="0 identities with two images or more are too few"):
        IdentityBatches(np.arange(9), 4, 2, seed=0)
    with pytest.raises(UsageError, match="a batch of 3 cannot be shared equally by 2"):
        IdentityBatches(np.repeat(np.arange(9), 2), 3, 2, seed=0, rank=1, world=2)


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 3), st.integers(0, 3))
def test_shuffled_batches_use_an_image_once_and_agree_over_ranks(n: int, share: int, world: int, epoch: int) -> None:
    if n < world:
        with pytest.raises(DataError, match="too few"):
            shuffled_batches(n, share * world, 0, epoch, 0, world)
        return
    ranks = [shuffled_batches(n, share * world, 0, epoch, rank, world) for rank in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    assert len({len(batch) for batches in ranks for batch in batches}) == 1
    used = [image for batches in ranks for batch in batches for image in batch]
    assert len(set(used)) == len(used) and set(used) <= set(range(n))
    assert n - len(used) < max(share * world, world)
    if n >= share * world:
        joint = shuffled_batches(n, share * world, 0, epoch)
        assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == joint
        assert all(len(batch) == share * world for batch in joint)


def test_shuffled_batches_depend_on_seed_and_epoch() -> None:
    assert shuffled_batches(50, 10, 0, 0) == shuffled_batches(50, 10, 0, 0)
    assert shuffled_batches(50, 10, 0, 0) != shuffled_batches(50, 10, 0, 1)
    assert shuffled_batches(50, 10, 0, 0) != shuffled_batches(50, 10, 1, 0)
    assert sorted(chain(*shuffled_batches(50, 10, 0, 0))) == list(range(50))
