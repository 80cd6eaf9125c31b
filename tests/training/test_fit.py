"""SVMs, calibration and thresholds: separable faces are separated, and no score comes from an SVM that saw the face."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError, UsageError
from facetag.training import fit as fitting
from facetag.training.fit import LabeledFaces, calibrate, cross_fitted, cross_fitted_accuracy, fit, require_identities
from facetag.training.recipe import FitStage

STAGE = FitStage(costs=(0.01, 0.1), folds=3)
PEOPLE = np.repeat(np.arange(30), 4)


def toy(noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """120 faces of 30 people: attributes 0 and 1 show in features 0 and 1, everybody has 2, nobody has 3."""
    rng = np.random.default_rng(seed)
    labels = rng.random((len(PEOPLE), 4)) < 0.5
    labels[:, 2], labels[:, 3] = True, False
    features = rng.normal(0, noise, (len(PEOPLE), 6)) + 5
    features[:, :2] += np.where(labels[:, :2], 1, -1)
    return features.astype(np.float32), labels


def test_separable_attributes_are_separated_and_their_probabilities_mean_something() -> None:
    features, labels = toy()
    fitted = fit(features, labels, PEOPLE, STAGE, jobs=1)
    svm = fitted.svm
    scores = (features - svm.mean) / svm.scale @ svm.weights.T + svm.bias
    probabilities = fitted.calibration.probabilities(scores)
    present = probabilities >= fitted.thresholds
    assert (present == labels).mean(0).min() > 0.98
    assert fitted.accuracy > 0.97 and fitted.cost in STAGE.costs
    for column in (0, 1):
        assert probabilities[labels[:, column], column].min() > probabilities[~labels[:, column], column].max() - 0.2
        assert (
            probabilities[labels[:, column], column].mean()
            > 0.9
            > 0.1
            > probabilities[~labels[:, column], column].mean()
        )
    assert (probabilities[:, 2] > 0.95).all() and (probabilities[:, 3] < 0.05).all()


def test_calibration_says_how_often_it_is_right_where_features_say_little() -> None:
    features, labels = toy(noise=2.5)
    fitted = fit(features, labels, PEOPLE, STAGE, jobs=1)
    scores = (features - fitted.svm.mean) / fitted.svm.scale @ fitted.svm.weights.T + fitted.svm.bias
    probabilities = fitted.calibration.probabilities(scores)[:, :2]
    # nothing is sure, and the mean probability is the share
    assert probabilities.min() > 0.02 and probabilities.max() < 0.98
    assert np.abs(probabilities.mean(0) - labels[:, :2].mean(0)).max() < 0.05
    assert fitted.accuracy < 0.9


def test_labels_that_depend_on_nothing_but_the_person_are_not_learnt_across_people() -> None:
    """Each person has a feature of their own: whoever sees the identity can tell, whoever does not is at a loss."""
    rng = np.random.default_rng(1)
    labels = (rng.permutation(30) < 15)[PEOPLE][:, None]
    features = np.eye(30, dtype=np.float32)[PEOPLE]
    folds = list(GroupKFold(3).split(features, groups=PEOPLE))
    unseen = cross_fitted(features, labels, folds, 10.0, 0, 1)
    weights, bias = fitting.fit_attributes(features, labels, 10.0, 0, 1)
    assert ((features @ weights.T + bias > 0) == labels).all()
    for _, fold in folds:  # an unknown feature leaves the bias alone
        assert np.ptp(unseen[fold]) < 1e-6
    assert cross_fitted_accuracy(unseen, labels, folds, STAGE) <= 0.6


def test_every_face_is_scored_once_by_svms_of_other_people(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = toy()
    features[:, 5] = PEOPLE  # carries who it is
    seen: list[set[int]] = []

    def remembering(part: np.ndarray, *rest: object) -> tuple[np.ndarray, np.ndarray]:
        seen.append({round(float(value)) for value in part[:, 5]})
        weights = np.zeros((4, 6))
        weights[:, 5] = 1
        return weights, np.full(4, 1000.0 * len(seen))  # which fold's SVMs scored

    monkeypatch.setattr(fitting, "fit_attributes", remembering)
    folds = list(GroupKFold(3, shuffle=True, random_state=0).split(features, groups=PEOPLE))
    scores = cross_fitted(features, labels, folds, 0.1, 0, 1)
    scorer = np.round((scores[:, 0] - PEOPLE) / 1000).astype(int) - 1
    assert set(scorer) == {0, 1, 2}
    assert all(person not in seen[number] for person, number in zip(PEOPLE, scorer, strict=True))


def test_no_identity_stands_in_two_folds_of_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = toy()
    given: list[list[tuple[np.ndarray, np.ndarray]]] = []
    real = cross_fitted

    def watching(standard, labels, folds, *rest):
        given.append(folds)
        return real(standard, labels, folds, *rest)

    monkeypatch.setattr(fitting, "cross_fitted", watching)
    fit(features, labels, PEOPLE, STAGE, jobs=1)
    assert len(given) == len(STAGE.costs)
    for folds in given:
        assert len(folds) == STAGE.folds
        assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(len(PEOPLE)))
        assert all(not set(PEOPLE[seen]) & set(PEOPLE[unseen]) for seen, unseen in folds)


def test_a_pull_leads_svms_that_see_too_few_faces_the_way_of_the_outputs() -> None:
    rng = np.random.default_rng(2)
    labels = rng.random((len(PEOPLE), 2)) < 0.5
    features = rng.normal(0, 1, (len(PEOPLE), 60)).astype(np.float32)
    features[:, :2] += np.where(labels, 0.8, -0.8)
    outputs = np.eye(2, 60) * 7  # their size does not matter
    without = fit(features, labels, PEOPLE, FitStage(costs=(0.01,), folds=3), jobs=1)
    drawn = fit(
        features, labels, PEOPLE, FitStage(costs=(0.01,), folds=3, prior_weights=(0.0, 100.0)), jobs=1, outputs=outputs
    )
    assert (without.pull, drawn.pull) == (0.0, 100.0) and drawn.accuracy > without.accuracy + 0.03
    along = np.abs(drawn.svm.weights[[0, 1], [0, 1]]) / np.linalg.norm(drawn.svm.weights, axis=1)
    assert along.min() > 0.8 and drawn.svm.weights.shape == (2, 60)


def moved_photographs(count: int, by: float) -> LabeledFaces:
    """Photographs in which attribute 0 shows as in `toy`, but for a light that moves its feature; nobody labelled 1."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, (count, 4)).astype(np.int8)
    features = (rng.normal(0, 0.8, (count, 6)) + 5).astype(np.float32)
    features[:, 0] += np.where(labels[:, 0] == 1, 1, -1) + by
    labels[:, 1:] = -1
    return LabeledFaces(features, labels)


def test_photographs_have_their_share_of_the_calibration() -> None:
    """Their light moves the middle between present and absent; what they have no label of stays as it was."""
    features, labels = toy(noise=0.8)
    photographs = moved_photographs(500, 1.0)

    def told(share: float, seen: LabeledFaces | None) -> tuple[float, np.ndarray]:
        stage = FitStage(costs=(0.01,), folds=3, labeled_images=share, thresholds="half")
        fitted = fit(features, labels, PEOPLE, stage, 1, images=seen)
        probabilities = fitted.calibration.probabilities(fitted.svm.scores(photographs.features))
        right = float(((probabilities[:, 0] >= 0.5) == (photographs.labels[:, 0] == 1)).mean())
        return right, fitted.calibration.slope[1:]

    shares = [told(share, photographs) for share in (0.0, 0.3, 0.9)]
    rights = [right for right, _ in shares]
    assert rights[0] + 0.02 < rights[1] and rights[1] + 0.02 < rights[2]
    alone = told(0.0, None)
    assert alone[0] == shares[0][0]
    assert all((slopes == alone[1]).all() for _, slopes in shares)


def test_the_share_of_photographs_does_not_depend_on_their_number() -> None:
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(0, 1, (200, 1)), rng.random((200, 1)) < 0.5
    others, told = rng.normal(1, 1, (50, 1)), rng.integers(0, 2, (50, 1)).astype(np.int8)
    once = calibrate(scores, labels, fitting.UnseenScores(others, told, 0.25))
    often = calibrate(scores, labels, fitting.UnseenScores(np.tile(others, (8, 1)), np.tile(told, (8, 1)), 0.25))
    assert once.slope == pytest.approx(often.slope, abs=1e-6) and once.intercept == pytest.approx(
        often.intercept, abs=1e-6
    )
    assert calibrate(scores, labels).intercept != pytest.approx(once.intercept, abs=0.01)


def test_the_accuracy_that_is_said_is_of_the_calibration_with_photographs() -> None:
    features, labels = toy(noise=0.8)
    stage = FitStage(costs=(0.01,), folds=3, labeled_images=0.9, thresholds="half")
    alone = fit(features, labels, PEOPLE, stage, 1)
    next_to = fit(features, labels, PEOPLE, stage, 1, images=moved_photographs(500, 1.5))
    assert next_to.accuracy < alone.accuracy - 0.01 and (next_to.svm.weights == alone.svm.weights).all()


def test_thresholds_of_a_half_are_a_half() -> None:
    features, labels = toy(noise=2.5)
    fitted = fit(features, labels, PEOPLE, FitStage(costs=(0.1,), folds=3, thresholds="half"), jobs=1)
    assert fitted.thresholds.tolist() == [0.5] * 4


def test_an_even_attribute_is_told_as_often_as_its_absence_photographs_with_their_share() -> None:
    features, labels = toy(noise=2.0)
    photographs = moved_photographs(500, 1.0)
    named = ATTRIBUTES[0]

    def told(even: tuple[str, ...]) -> tuple[list[float], float]:
        stage = FitStage(costs=(0.01,), folds=3, labeled_images=0.99, thresholds="half", equal_error=even)
        fitted = fit(features, labels, PEOPLE, stage, 1, images=photographs)
        probabilities = fitted.calibration.probabilities(fitted.svm.scores(photographs.features))
        present, right = photographs.labels[:, 0] == 1, probabilities[:, 0] >= fitted.thresholds[0]
        assert (fitted.thresholds[1:] == 0.5).all()
        return [right[present].mean(), 1 - right[~present].mean()], fitted.thresholds[0]

    photographs.labels[:, 0] = np.where(np.arange(500) % 10, photographs.labels[:, 0], 1)  # more present than absent
    (uneven, half), (even, threshold) = told(()), told((named,))
    assert half == 0.5 != threshold
    assert abs(even[0] - even[1]) < 0.02 < abs(uneven[0] - uneven[1])


def test_errors_are_made_equal_over_faces_that_are_no_childrens() -> None:
    """Children look like absent ones; who counts them has to say present sooner."""
    features, labels = toy(noise=0.8)
    adults, children = moved_photographs(500, 1.0), moved_photographs(500, -1.0)
    stage = FitStage(costs=(0.01,), folds=3, labeled_images=0.99, thresholds="half", equal_error=(ATTRIBUTES[0],))

    def told(are_children: bool) -> tuple[float, float, float]:
        others = replace(children, children=np.full(500, are_children))
        fitted = fit(features, labels, PEOPLE, stage, 1, images=adults.joined(others))
        probabilities = fitted.calibration.probabilities(fitted.svm.scores(adults.features))[:, 0]
        present, right = adults.labels[:, 0] == 1, probabilities >= fitted.thresholds[0]
        return fitted.thresholds[0], right[present].mean(), 1 - right[~present].mean()

    (low, *uneven), (high, *even) = told(False), told(True)
    assert low < high and abs(even[0] - even[1]) < 0.02 < abs(uneven[0] - uneven[1])


def test_an_even_attribute_has_to_be_one() -> None:
    with pytest.raises(UsageError, match=r"equal_error = \['Female'\] under \[svm\]"):
        FitStage(equal_error=("Male", "Female"))


@pytest.mark.parametrize(
    ("people", "folds", "message"),
    [
        (2, 3, "2 identities are too few for the recipe's 3 folds under [svm]; bring more"),
        (0, 2, "0 identities are too few"),
        (9, 1, "folds = 1 under [svm] of the recipe cannot cross-validate; set two or more"),
    ],
)
def test_too_few_identities_are_refused_in_one_line(people: int, folds: int, message: str) -> None:
    with pytest.raises(DataError) as refused:
        require_identities(np.repeat(np.arange(people), 5), folds)
    assert message in str(refused.value) and "\n" not in str(refused.value)
    features, labels = toy()
    with pytest.raises(DataError, match="under \\[svm\\]"):
        fit(features, labels, PEOPLE % 2, STAGE, jobs=1)


def test_svms_learn_from_photographs_whose_sets_weigh_as_much_as_celebas_faces() -> None:
    """In the photographs the light moves the feature, so that SVMs of CelebA alone call most of them present."""
    features, labels = toy()
    photographs = moved_photographs(80, 2.0)
    alone, both = (
        fit(features, labels, PEOPLE, replace(STAGE, labeled_images=0.5, labeled_weight=weight), jobs=1, images=seen)
        for weight, seen in ((0.0, photographs), (1.0, photographs.joined(moved_photographs(20, 2.0))))
    )
    fresh = moved_photographs(200, 2.0)
    right = [
        float(((each.svm.scores(fresh.features)[:, 0] > 0) == (fresh.labels[:, 0] == 1)).mean())
        for each in (alone, both)
    ]
    assert right[0] < 0.7 < right[1]
    np.testing.assert_allclose(alone.svm.weights[1:], both.svm.weights[1:])  # of what they have no label of


def test_each_set_of_photographs_has_the_same_weight_for_what_it_labels() -> None:
    joined = moved_photographs(80, 2.0).joined(moved_photographs(20, 1.0))
    weights = joined.weights(10.0)
    assert [round(float(weights[joined.numbered == number, 0].sum()), 9) for number in (0, 1)] == [10.0, 10.0]
    assert not weights[:, 1:].any()
