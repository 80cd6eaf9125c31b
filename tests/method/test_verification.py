"""Pairs of one person told from pairs of two."""

import numpy as np
import pytest

from facetag.errors import DataError
from facetag.method.verification import Verification, verify


def people(noise: float, count: int = 40, images: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    identities = np.repeat(np.arange(count), images)
    own = rng.normal(size=(count, 32))
    return own[identities] + noise * rng.normal(size=(len(identities), 32)), identities


def test_features_that_are_a_persons_own_tell_every_pair() -> None:
    assert verify(*people(noise=0.05)) == Verification(auc=1.0, accuracy=1.0)


def test_features_of_chance_tell_half_of_the_pairs() -> None:
    found = verify(*people(noise=1000.0), pairs=2000)
    assert found.accuracy == pytest.approx(0.5, abs=0.06)
    assert found.auc == pytest.approx(0.5, abs=0.06)


def test_between_them_noise_costs() -> None:
    little, much = verify(*people(noise=1.0)), verify(*people(noise=2.0))
    assert 0.5 < much.accuracy < little.accuracy < 1
    assert 0.5 < much.auc < little.auc < 1


def test_what_all_features_have_in_common_and_their_length_are_not_looked_at() -> None:
    features, identities = people(noise=1.5)
    lengths = np.random.default_rng(1).uniform(0.5, 2, (len(features), 1))
    centred = features - features.mean(0)
    assert verify(features + 100, identities).auc == pytest.approx(verify(features, identities).auc, abs=1e-6)
    lengthened = verify(np.concatenate([centred * lengths, -centred * lengths]), np.tile(identities, 2))
    assert lengthened.auc == pytest.approx(
        verify(np.concatenate([centred, -centred]), np.tile(identities, 2)).auc, abs=1e-6
    )


def test_fewer_than_four_people_have_no_threshold_of_others() -> None:
    features, identities = people(noise=0.05, count=3)
    found = verify(features, identities)
    assert found.auc == 1.0
    assert np.isnan(found.accuracy)


def test_people_of_one_image_have_no_pair() -> None:
    with pytest.raises(DataError, match="0 people with two images are too few"):
        verify(np.zeros((5, 3)), np.arange(5))
