import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.datasets.boxes import load_boxes_csv
from facetag.errors import DataError
from facetag.geometry import Box


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "boxes.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_faces_of_an_image_come_together_in_file_order(tmp_path: Path) -> None:
    path = write(tmp_path, "file,x,y,width,height\nb.jpg,1,2,3,4\na.jpg,5,6,7.5,8\nb.jpg,-1,0,2,2\n")
    found = load_boxes_csv(path)
    assert list(found) == ["b.jpg", "a.jpg"]
    assert found["b.jpg"] == [Box(1, 2, 3, 4), Box(-1, 0, 2, 2)]
    assert found["a.jpg"] == [Box(5, 6, 7.5, 8)]


def test_columns_in_any_order_with_others_between(tmp_path: Path) -> None:
    path = write(tmp_path, "image_width,height,Width,y,x,path\r\n640,4,3,2,1,a.jpg\r\n", "utf-8-sig")
    assert load_boxes_csv(path) == {"a.jpg": [Box(1, 2, 3, 4)]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_another_encoding_is_named_with_the_remedy(tmp_path: Path, encoding: str) -> None:
    path, name = write(tmp_path, "file,x,y,width,height\na.jpg,1,2,3,4\n", encoding), encoding[:6].upper()
    with pytest.raises(DataError, match=rf"^\S+ is text in {name}; write it as UTF-8: iconv -f {name} -t UTF-8$"):
        load_boxes_csv(path)


def test_an_image_without_a_face_and_hostile_names(tmp_path: Path) -> None:
    path = write(tmp_path, 'file,x,y,width,height\n"a, ""b""\nc.jpg",,,,\n\nd é.jpg,1,1,1,1\n')
    assert load_boxes_csv(path) == {'a, "b"\nc.jpg': [], "d é.jpg": [Box(1, 1, 1, 1)]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: needs the column file once"),
        ("a.jpg,1,2,3,4\n", "line 1: needs the column file once"),
        ("file,x,y,width\n", "line 1: needs the column height once"),
        ("file,x,x,y,width,height\n", "line 1: needs the column x once"),
        ("file,x,y,width,height\n", "has no rows"),
        ("file,x,y,width,height\na.jpg,1,2,3\n", "line 2: 4 fields where 5 belong"),
        ("file,x,y,width,height\na.jpg,1,2,3,4\na.jpg,1,2,3,x\n", "line 3: '1,2,3,x' is not four numbers"),
        ("file,x,y,width,height\na.jpg,1,,3,4\n", "line 2: '1,,3,4' is not four numbers"),
        ("file,x,y,width,height\na.jpg,1,nan,3,4\n", "line 2: '1,nan,3,4' is not four numbers"),
        ('file,x,y,width,height\na.jpg,1,"2\n3",0,4\n', "line 3: '1,2\\n3,0,4' is not four numbers"),
        ("file,x,y,width,height\na.jpg,1,2,0,4\n", "line 2: a box needs a width and a height"),
        ("file,x,y,width,height\n,1,2,3,4\n", "line 2: no file name"),
        ('file,x,y,width,height\n"a.jpg,1,2,3,4\n', "line 2: unexpected end of data"),
    ],
)
def test_malformed_files_are_refused_with_file_and_line(text: str, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        load_boxes_csv(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    of_rows = "the first line names the columns, file among them"
    assert any(words in caught.value.remedy for words in ("columns are file, x, y, width, height", of_rows))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: No such file"):
        load_boxes_csv(tmp_path / "gone.csv")


PIECES = st.sampled_from(["a.jpg", "1", "2.5", "-3", "0", "x", ",", '"', "\n", "\r", "\0", " ", "nan", "\u2028"])


@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=40).map(lambda words: "".join(words).encode())))
def test_any_bytes_after_the_header_are_read_or_refused(rows: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "boxes.csv")
        path.write_bytes(b"file,x,y,width,height\n" + rows)
        try:
            found = load_boxes_csv(path)
        except DataError as error:
            assert str(path) in str(error)
            assert len(str(error).splitlines()) == 1
        else:
            assert found and all(box.area > 0 for boxes in found.values() for box in boxes)
