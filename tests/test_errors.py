import pytest

from facetag.errors import DataError, FacetagError


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("été.csv, line 1: '日本' is no number", "été.csv, line 1: '日本' is no number"),
        ("a\nb\r.csv is missing", r"a\nb\r.csv is missing"),
        ("\x1b[31m \u2028 \x1c \u202e", r"\x1b[31m \u2028 \x1c \u202e"),
        ("\udcff.csv", r"\udcff.csv"),
    ],
)
def test_an_error_is_one_line_that_a_terminal_can_show(message, line):
    assert str(FacetagError(message)) == line
    assert str(DataError(message, "look\nthere")) == line + r"; look\nthere"
    str(DataError(message)).encode()
