"""Settings from TOML and JSON: what is unknown or of another type fails in one line, nothing is bent to fit."""

import json
import tomllib
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import DataError
from facetag.settings import plain, settings_from


@dataclass(frozen=True)
class Inner:
    widths: tuple[int, ...] = (3, 4)
    shares: tuple[float, ...] = (0.5,)


@dataclass(frozen=True)
class Outer:
    count: int = 1
    rate: float = 0.1
    kind: Literal["a", "b"] = "a"
    step: Literal[4, 8] = 8
    really: bool = False
    inner: Inner = field(default_factory=Inner)


def test_nothing_given_is_all_defaults():
    assert settings_from(Outer, {}, "here") == Outer()


def test_nested_values_lists_and_whole_numbers_for_fractions():
    values = tomllib.loads('count = 2\nrate = 1\nkind = "b"\nstep = 4\n[inner]\nwidths = []\nshares = [0, 1]')
    found = settings_from(Outer, values, "here")
    assert found == Outer(2, 1.0, "b", 4, inner=Inner((), (0.0, 1.0)))
    assert isinstance(found.rate, float) and all(isinstance(share, float) for share in found.inner.fractions)


@pytest.mark.parametrize("values", [
    {"cuont": 2}, {"inner": {"width": [1]}}, {"count": 1.0}, {"count": "1"}, {"count": True}, {"count": None},
    {"rate": "0.1"}, {"rate": True}, {"rate": None}, {"rate": [0.1]}, {"kind": "c"}, {"kind": "a\nb"}, {"step": 6},
    {"really": 1}, {"inner": 3}, {"inner": None}, {"inner": {"widths": "12"}}, {"inner": {"widths": 5}},
    {"inner": {"widths": [1.5]}}, {"inner": {"widths": {"a": 1}}}, {"inner": {"shares": ["0.5"]}},
    {"inner": {"shares": [False]}}, 3, None, "count", ["count"],
])  # fmt: skip
def test_wrong_keys_and_types_fail_in_one_line(values):
    with pytest.raises(DataError) as caught:
        settings_from(Outer, values, "recipe odd.toml")
    message = str(caught.value)
    assert message.startswith("recipe odd.toml: ") and len(message.splitlines()) == 1
    assert "generator" not in message and "0x" not in message


def test_the_message_names_the_key_and_the_value():
    with pytest.raises(DataError, match=r'inner\.widths.*\btuple\b.*"12"'):
        settings_from(Outer, {"inner": {"widths": "12"}}, "here")
    with pytest.raises(DataError, match="cuont"):
        settings_from(Outer, {"cuont": 2}, "here")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
keys = st.sampled_from(["count", "rate", "kind", "step", "really", "inner", "widths", "shares"]) | st.text()


@given(st.dictionaries(keys, json_values | st.dictionaries(keys, json_values)) | json_values)
def test_any_json_gives_settings_or_a_data_error(values):
    try:
        found = settings_from(Outer, values, "here")
    except DataError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert type(found.count) is int and type(found.rate) is float and isinstance(found.inner.widths, tuple)


outers = st.builds(
    Outer, st.integers(), st.floats(allow_nan=False), st.sampled_from("ab"), st.sampled_from([4, 8]), st.booleans(),
    st.builds(Inner, st.lists(st.integers()).map(tuple), st.lists(st.floats(allow_nan=False)).map(tuple)),
)  # fmt: skip


@given(outers)
def test_round_trip_through_json(settings):
    values = plain(settings)
    assert json.loads(json.dumps(values)) == values, "JSON must give the very same plain data back"
    assert settings_from(Outer, json.loads(json.dumps(values)), "here") == settings


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        Outer().count = 3
    assert replace(Outer(), count=3) == Outer(3)
