import pytest

from facetag.attributes import ATTRIBUTES, GROUPS
from facetag.cli.options import Options
from facetag.cli.thresholds import decisions_of
from facetag.errors import UsageError


def test_without_options_all_are_answered_by_the_models_thresholds():
    decisions = decisions_of(Options())
    assert tuple(decisions.attributes) == ATTRIBUTES
    assert (decisions.thresholds, decisions.unsure, decisions.unsure_bands) == ({}, 0.0, {})


def test_names_may_be_groups_and_in_any_case_and_the_last_word_counts():
    words = ["HAIR=0.2", "bald=0.5,Bangs=0.4", "bangs=0.3"]
    thresholds = decisions_of(Options(threshold=words)).thresholds
    assert thresholds == dict.fromkeys(GROUPS["hair"], 0.2) | {"Bald": 0.5, "Bangs": 0.3}
    assert decisions_of(Options(threshold=["Bald=0.5", "hair=0.2"])).thresholds["Bald"] == 0.2


def test_attributes_are_those_named_less_those_excluded():
    decisions = decisions_of(Options(attributes=["smiling,MAKEUP"], exclude_attributes=["Heavy_Makeup"]))
    assert decisions.attributes == ["Smiling", "Wearing_Lipstick"]
    with pytest.raises(UsageError, match="no attribute is left"):
        decisions_of(Options(attributes=["Bald"], exclude_attributes=["hair"]))


def test_a_width_and_bands():
    decisions = decisions_of(Options(unsure=["Smiling=0.4..0.6,0.05", "hair=0.1..0.9"]))
    assert decisions.unsure == 0.05
    assert decisions.unsure_bands == {"Smiling": (0.4, 0.6)} | dict.fromkeys(GROUPS["hair"], (0.1, 0.9))


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
        ("Smile=0.4..0.5", "no attribute or group is called 'Smile'; did you mean Smiling?"),
        ("Young=0.1..0.2", "Young has both"),
    ],
)
def test_what_is_no_band_is_said(unsure, message):
    with pytest.raises(UsageError, match=message):
        decisions_of(Options(threshold=["demographic=0.5"], unsure=[unsure]))
