import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.datasets.tables import read_labels, read_numbers, whole_numbers
from facetag.errors import DataError

LABELS = {
    "padded": b"2\nSmiling Male \n000001.jpg -1  1\n000002.jpg  1 -1\n",
    "crlf": b"2\r\nSmiling Male \r\n000001.jpg -1  1\r\n000002.jpg  1 -1\r\n",
    "no newline at the end": b"2\nSmiling Male\n000001.jpg -1 1\n000002.jpg 1 -1",
    "comma": b"image_id,Smiling,Male\n000001.jpg,-1,1\n000002.jpg,1,-1\n",
    "comma, crlf, byte order mark": b"\xef\xbb\xbfimage_id,Smiling,Male\r\n000001.jpg,-1,1\r\n000002.jpg,1,-1\r\n",
    "zeros": b"image_id,Smiling,Male\n000001.jpg,0,1\n000002.jpg,1,0\n",
    "tabs and empty lines": b"\tSmiling\tMale\n\n000001.jpg\t-1\t1\n\n000002.jpg\t1\t-1\n\n",
}


def write(folder: Path, content: bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", LABELS.values(), ids=LABELS)
def test_labels_are_read_from_every_variant(content: bytes, tmp_path: Path) -> None:
    table = read_labels(write(tmp_path, content))
    assert table.names == ["000001.jpg", "000002.jpg"]
    assert table.columns == ("Smiling", "Male")
    assert table.values.dtype == np.int8
    assert table.values.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no line with the names"),
        (b"000001.jpg -1 1\n", "no line with the names"),
        (b"Smiling Male\n", "no rows"),
        (b"3\nSmiling Male\n000001.jpg -1 1\n000002.jpg 1 -1\n", "says 3 rows on its first line but has 2"),
        (b"2\nSmiling Male\n000001.jpg -1 1\n000002.jpg 1\n", "line 4: 2 fields where 3 belong"),
        (b"2\nSmiling Male\n000001.jpg -1 1 1\n000002.jpg 1\n", "line 3: 4 fields where 3 belong"),
        (b"2\nSmiling Male\n000001.jpg -1 1\n\n000002.jpg 1 2\n", "line 5: a label that is not"),
        (b"1\nSmiling Male\n000001.jpg -1 -\n", "line 3: a label that is not"),
        (b"1\nSmiling Male\n000001.jpg -1 -11\n", "line 3: a label that is not"),
        (b"1\nSmiling Male\n000001.jpg 10 1\n", "line 3: a label that is not"),
        (b"Smiling Male\n000001.jpg -1 1\n000001.jpg 1 -1\n", "two rows for 000001.jpg"),
        (b"image_id,Smiling,Male\n000001.jpg,,1\n", "line 2: 2 fields where 3 belong"),
    ],
)
def test_malformed_labels_are_refused_with_file_and_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        read_labels(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt: No such file"):
        read_labels(tmp_path / "gone.txt")


@pytest.mark.parametrize(
    "content",
    [
        b"000001.jpg 0\r\n000002.jpg 2\r\n",
        b"image_id,partition\n000001.jpg,0\n000002.jpg,2\n",
        b"2\nimage_id partition\n000001.jpg   0\n000002.jpg   2\n",
    ],
)
def test_numbers_with_and_without_a_header(content: bytes, tmp_path: Path) -> None:
    table = read_numbers(write(tmp_path, content), 1)
    assert table.names == ["000001.jpg", "000002.jpg"]
    assert whole_numbers(table, 2).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"000001.jpg 0\n000002.jpg 3\n", "line 2: not one of 0 to 2"),
        (b"000001.jpg 0.5\n000002.jpg 1\n", "line 1: not one of 0 to 2"),
        (b"000001.jpg -1\n000002.jpg 1\n", "line 1: not one of 0 to 2"),
        (b"000001.jpg x\n", "line 1: a field that is not a number"),
        (b"image_id,partition\n000001.jpg,0\n000002.jpg,inf\n", "line 3: a field that is not a number"),
        (b"000001.jpg 0\n000002.jpg\n", "line 2: 1 fields where 2 belong"),
    ],
)
def test_malformed_numbers_are_refused_with_file_and_line(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        whole_numbers(read_numbers(write(tmp_path, content), 1), 2)


def test_rows_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    table = read_numbers(write(tmp_path, b"b.jpg 2\na.jpg 1\nc.jpg 3\n"), 1)
    assert table.values_of(["a.jpg", "c.jpg"]).tolist() == [[1], [3]]
    assert table.values_of(["b.jpg", "a.jpg", "c.jpg"]).tolist() == [[2], [1], [3]]
    with pytest.raises(DataError, match=r"no row for d\.jpg"):
        table.values_of(["a.jpg", "d.jpg"])


PIECES = st.sampled_from(
    [b"000001.jpg", b"a.png", b"1", b"-1", b"0", b"-", b"x", b"image_id", b"2", b" ", b"  ", b",",
     b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"nan", b"1e999"]
)  # fmt: skip
FILES = st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=40).map(b"".join))


@given(FILES)
def test_any_bytes_are_read_or_refused_and_agree_with_the_obvious_reader(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), content)
        for read in (read_labels, lambda path: read_numbers(path, 2)):
            try:
                table = read(path)
            except DataError as error:
                assert str(path) in str(error)
            else:
                assert table.values.shape[0] == len(table.names) == len(table.lines) > 0
                lines = content.removeprefix(b"\xef\xbb\xbf").replace(b",", b" ").split(b"\n")
                for name, line, values in zip(table.names, table.lines, table.values, strict=True):
                    first, *rest = lines[line - 1].split()
                    assert first == name.encode(errors="surrogateescape")
                    expected = [float(word) for word in rest]
                    assert values.tolist() == ([max(v, 0) for v in expected] if read is read_labels else expected)
