import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.datasets.kumar import load_kumar, read_kumar
from facetag.errors import DataError

HEAD = "# lfw_attributes_73.txt - Version 1.0\n#\tperson\timagenum\tMale\tSmiling\n"
ROWS = "Ann Li\t1\t1.5\t-0.25\nAnn Li\t2\t-1.0\t0.5\nBo Ek\t12\t0.0\t2e-1\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "lfw_attributes.txt"
    path.write_text(text, newline="")
    return path


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_scores_and_their_signs(eol: str, tmp_path: Path) -> None:
    (tmp_path / "lfw/Ann_Li").mkdir(parents=True)
    (tmp_path / "lfw/Bo_Ek").mkdir()
    for name in ("Ann_Li/Ann_Li_0002.jpg", "Bo_Ek/Bo_Ek_0012.jpg"):
        (tmp_path / "lfw" / name).write_bytes(b"")
    write(tmp_path, (HEAD + ROWS).replace("\n", eol))
    data = load_kumar(tmp_path)
    assert [path.name for path in data.paths] == ["Ann_Li_0002.jpg", "Bo_Ek_0012.jpg"]
    assert data.attribute_names == ("Male", "Smiling")
    assert data.scores.tolist() == [[-1.0, 0.5], [0.0, 0.2]]
    assert data.attributes.tolist() == [[0, 1], [0, 1]]
    assert data.missing == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line with its columns"),
        (HEAD, "no rows"),
        (ROWS, "line 1: 4 fields where 2 belong"),
        (HEAD + ROWS + "Bo Ek\t13\t0.5\n", "line 6: 3 fields where 4 belong"),
        (HEAD + "Bo Ek\tone\t0.5\t1\n", "line 3: a field that is not a number"),
        (HEAD + "Bo Ek\t1\t0.5\tnan\n", "line 3: not a person"),
        (HEAD + "../Bo Ek\t1\t0.5\t1\n", "line 3: not a person"),
    ],
)
def test_malformed_files_are_refused_with_file_and_line(text: str, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        read_kumar(path)
    assert str(caught.value).startswith(str(path))


PIECES = st.sampled_from(["#", "person", "imagenum", "Male", "Ann Li", "1", "-0.5", "nan", "x", "\n", "\r\n", "\0"])


@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=40).map(lambda words: "\t".join(words).encode())))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lfw_attributes.txt")
        path.write_bytes(content)
        try:
            rows = read_kumar(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert rows.scores.shape == (len(rows.people), len(rows.attribute_names))
