import os

import pytest
from photographs import make_photographs


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Twenty photographs in `in`, and the current folder."""
    monkeypatch.chdir(tmp_path)
    make_photographs(tmp_path / "in", 20)
    for photo in (tmp_path / "in").iterdir():
        os.utime(photo, ns=(10**18, 10**18))
    return tmp_path / "in"
