import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import UsageError
from facetag.runs.failure_budget import budget_of


@pytest.mark.parametrize(
    ("text", "spent"),
    [
        ("never", [False, False, False, False]),
        ("any", [False, True, True, True]),
        ("all", [False, False, False, True]),
        ("0.5", [False, False, False, True]),
        ("50%", [False, False, False, True]),
        ("0.49", [False, False, True, True]),
        ("0", [False, True, True, True]),
        ("1", [False, False, False, False]),
    ],
)
def test_when_a_run_of_four_has_failed(text, spent):
    assert [budget_of(text).is_spent(failed, 4) for failed in (0, 1, 2, 4)] == spent


@pytest.mark.parametrize("text", ["never", "any", "all", "0", "0.3"])
def test_a_run_of_nothing_has_not_failed(text):
    assert not budget_of(text).is_spent(0, 0) and not budget_of(text).stops(0, 0)


def test_only_a_rate_stops_a_run_and_only_when_whatever_is_left_cannot_help():
    assert not any(budget_of(name).stops(250, 250) for name in ("never", "any", "all", "1"))
    assert not budget_of("5%").stops(250, None)  # more inputs may come
    assert not budget_of("0").stops(1, None)
    assert not budget_of("5%").stops(12, 250)
    assert budget_of("5%").stops(13, 250)
    assert budget_of("0").stops(1, 5)


@given(st.sampled_from(["never", "any", "all", "0", "0.1", "7%"]), st.integers(0, 300), st.integers(0, 300))
def test_what_stops_a_run_is_a_budget_that_is_spent_at_its_end(text, failed, answered):
    budget = budget_of(text)
    assert not budget.stops(failed, failed + answered) or budget.is_spent(failed, failed + answered)


def test_as_many_as_the_rate_allows_are_not_too_many_however_it_is_rounded():
    for thousandths in range(1001):
        for text in (f"{thousandths / 1000}", f"{thousandths / 10}%"):
            budget = budget_of(text)
            for total in (1000, 7000):
                most = thousandths * total // 1000
                assert not budget.is_spent(most, total), text
                assert budget.is_spent(most + 1, total), text


@pytest.mark.parametrize("text", ["", "sometimes", "-0.1", "1.5", "101%", "%", "nan", "nan%", "inf", "1e400%"])
def test_what_is_no_budget_is_said(text):
    with pytest.raises(UsageError, match="is no failure budget"):
        budget_of(text)
