"""Which images make a batch: lists of indices, the same on every machine for the same seed and epoch.

Batches are made jointly for all processes and then shared out, so a run with two processes sees the very batches of a
run with one. Every process gets the same number of batches: one that ran out early would leave the others waiting.
Anything that iterates over index lists serves as torch's `batch_sampler`.
"""

import numpy as np
from numpy.typing import NDArray

from facetag.errors import DataError, UsageError


class IdentityBatches:
    """Batches of P identities with K distinct images each (paper, section 3.3: the similarity loss wants pairs).

    In an epoch each identity comes once, with K of its images drawn anew, or all of them when it has fewer; one with a
    single image has no pair and is skipped. An identity's images stay in one process.

    Args:
        identities: (N,) identity of each image.
        p: identities in a batch, all processes together.
        k: images of each.
        seed: of order and draw, together with the epoch.
        rank, world: this process and how many there are.

    Raises:
        UsageError: p cannot be shared equally by the processes.
        DataError: too few identities have two images.
    """

    def __init__(self, identities: NDArray[np.int64], p: int, k: int, seed: int, rank: int = 0, world: int = 1) -> None:
        assert p >= 1 and k >= 1 and 0 <= rank < world
        order = np.argsort(identities, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(identities[order])) + 1)
        self._members = [group for group in groups if len(group) > 1]
        self._p = _equal_part(len(self._members), p, world, "identities with two images or more")
        self._k, self._seed, self._rank, self._world = k, seed, rank, world

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._members) // self._p

    def batches(self, epoch: int) -> list[list[int]]:
        """This process's part of each batch of an epoch; to go on after `s` batches, take them from `s`."""
        random = np.random.default_rng([self._seed, epoch])
        order = random.permutation(len(self._members))
        # every process draws for every identity: that is what keeps their draws in step
        drawn = [random.permutation(self._members[identity])[: self._k].tolist() for identity in order]
        part = self._p // self._world
        starts = (batch * self._p + self._rank * part for batch in range(len(self)))
        return [[image for images in drawn[start : start + part] for image in images] for start in starts]


def shuffled_batches(n: int, batch: int, seed: int, epoch: int, rank: int = 0, world: int = 1) -> list[list[int]]:
    """This process's part of each batch of an epoch over n images in random order.

    `batch` counts the images of all processes together. What is left over after the last whole batch is not used in
    this epoch; when there is not even one whole batch, a smaller one is made.

    Raises:
        UsageError: the batch cannot be shared equally by the processes.
        DataError: fewer images than processes.
    """
    assert batch >= 1 and 0 <= rank < world
    batch = _equal_part(n, batch, world, "images")
    order = np.random.default_rng([seed, epoch]).permutation(n)[: n // batch * batch]
    parts: list[list[int]] = order.reshape(-1, world, batch // world)[:, rank].tolist()
    return parts


def _equal_part(available: int, wanted: int, world: int, what: str) -> int:
    """The size of a joint batch: as wanted, or the most that there is for all processes alike."""
    if wanted % world:
        raise UsageError(f"a batch of {wanted} cannot be shared equally by {world} processes", "choose a multiple")
    if available < world or not available:
        raise DataError(f"{available} {what} are too few for {world} process(es)", "bring more images")
    return min(wanted, available // world * world)
