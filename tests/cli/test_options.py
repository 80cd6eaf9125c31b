"""One frozen object holds what `predict` and `localize` are told."""

from dataclasses import FrozenInstanceError, fields
from inspect import signature
from pathlib import Path

import pytest

import facetag
from facetag import cli
from facetag.cli.commands.localize import localize
from facetag.cli.commands.predict import predict
from facetag.cli.options import OF_PREDICT, Options, filled
from facetag.errors import ExitCode

NAMES = [field.name for field in fields(Options)]


def test_typer_sees_a_parameter_for_each_field():
    assert list(signature(predict).parameters) == ["context", *NAMES]
    assert list(signature(localize).parameters) == ["context", *(name for name in NAMES if name not in OF_PREDICT)]


def test_a_command_is_given_what_typer_read_and_defaults_of_what_it_has_not():
    given = []
    filled(without=["boxes"])(lambda context, options: given.append(options))(None, out="a.csv", hidden=True)
    assert given == [Options(out="a.csv", hidden=True)]
    with pytest.raises(FrozenInstanceError):
        given[0].out = "b.csv"


@pytest.mark.parametrize("option", [f"--{name.replace('_', '-')}" for name in OF_PREDICT])
def test_localize_knows_no_options_of_attributes(option, capsys):
    assert cli.run(["localize", "a.jpg", option, "x"]) == ExitCode.USAGE
    assert f"No such option: {option}" in capsys.readouterr().err


def test_options_are_read_by_attribute():
    sources = Path(facetag.__file__).parent.rglob("*.py")
    assert not [path for path in sources if "context.params" in path.read_text(encoding="utf-8")]
