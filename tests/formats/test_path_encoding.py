import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.formats.path_encoding import escape, one_line, unescape
from facetag.runs.shards import shard_key

file_names = st.one_of(
    st.binary(min_size=1).filter(lambda name: 0 not in name),
    st.lists(st.sampled_from([b"\\", b"x", b"0a", b"ff", b"\n", b"\xff", "ü".encode(), b"\xc3"])).map(b"".join),
)


@given(file_names)
def test_any_name_becomes_one_line_of_utf8_and_comes_back(name):
    path = os.fsdecode(name)
    written = escape(path)
    written.encode("utf-8")
    assert len(written.splitlines()) <= 1
    assert os.fsencode(unescape(written)) == name


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (b"photos/a b.jpg", "photos/a b.jpg"),
        ("Übermut/日本.jpg".encode(), "Übermut/日本.jpg"),
        (b"a\nb.jpg", r"a\x0ab.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (rb"a\x0ab.jpg", r"a\\x0ab.jpg"),
        ("\u2028".encode(), r"\xe2\x80\xa8"),
        (b"\x7f", r"\x7f"),
    ],
)
def test_spelling(name, written):
    assert escape(os.fsdecode(name)) == written


def test_a_backslash_that_begins_no_escape_stands_for_itself():
    assert unescape(r"C:\photos\a.jpg") == r"C:\photos\a.jpg"


def test_a_message_is_one_printable_line():
    assert one_line("no\n  such\tthing \udcff\x1b[0m") == r"no such thing \xff\x1b[0m"


@pytest.mark.process
def test_a_path_is_spelt_by_its_bytes_whatever_the_locale():
    code = (
        "import os, sys; from facetag.formats.path_encoding import escape, unescape; from facetag.runs.shards import *;"
        "assert sys.getfilesystemencoding() != 'utf-8'; name = bytes.fromhex(sys.argv[1]); path = os.fsdecode(name);"
        "assert os.fsencode(unescape(escape(path))) == name; print(escape(path).encode().hex(), shard_key(path))"
    )
    name = "Übermut/日本".encode() + b"\xff.jpg"
    locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = subprocess.check_output([sys.executable, "-c", code, name.hex()], env=locale, text=True)
    path = os.fsdecode(name)
    assert said.split() == [escape(path).encode().hex(), str(shard_key(path))]
