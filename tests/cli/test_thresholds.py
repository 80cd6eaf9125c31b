import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.cli.thresholds import Deciding, deciding
from facetag.errors import UsageError

SMILING, HAT = ATTRIBUTES.index("Smiling"), ATTRIBUTES.index("Wearing_Hat")
SHIPPED = np.full(len(ATTRIBUTES), 0.7)


def test_without_options_the_models_thresholds_decide_and_nothing_is_unsure():
    present_from, unsure_from = deciding(None, None).edges(SHIPPED)
    assert (present_from == SHIPPED).all() and (unsure_from == SHIPPED).all()


def test_a_width_lies_on_both_sides_of_every_threshold_and_ends_where_it_is_written():
    present_from, unsure_from = deciding(["Smiling=0.2"], ["0.1"]).edges(SHIPPED)
    assert (present_from[HAT], unsure_from[HAT]) == (0.8, 0.6)
    assert (present_from[SMILING], unsure_from[SMILING]) == (0.3, 0.1)


def test_a_band_takes_the_place_of_threshold_and_width():
    present_from, unsure_from = deciding(None, ["Smiling=0.4..0.6,0.05", "hair=0.1..0.9"]).edges(SHIPPED)
    assert (present_from[SMILING], unsure_from[SMILING]) == (0.6, 0.4)
    assert (present_from[HAT], unsure_from[HAT]) == (0.75, 0.65)
    hair = [ATTRIBUTES.index(name) for name in GROUPS["hair"]]
    assert set(present_from[hair]) == {0.9} and set(unsure_from[hair]) == {0.1}


@given(st.floats(0, 1), st.floats(0, 1))
def test_unsure_never_begins_above_present(threshold, width):
    present_from, unsure_from = Deciding({HAT: threshold}, width).edges(SHIPPED)
    assert (unsure_from <= present_from).all()


@pytest.mark.parametrize(
    ("unsure", "message"),
    [
        ("2", "no width from 0 to 1"),
        ("nan", "no width"),
        ("Smiling", "no width"),
        ("Smiling=0.4", "not NAME=LOW..HIGH"),
        ("Smiling=0.6..0.4", "not NAME=LOW..HIGH"),
        ("Smiling=..0.4", "not NAME=LOW..HIGH"),
        ("Smiling=0.4..1.1", "not NAME=LOW..HIGH"),
        ("Smile=0.4..0.5", "no attribute or group"),
        ("Young=0.1..0.2", "Young has both"),
    ],
)
def test_what_is_no_band_is_said(unsure, message):
    with pytest.raises(UsageError, match=message):
        deciding(["demographic=0.5"], [unsure])
