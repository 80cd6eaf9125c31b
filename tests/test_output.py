import os
import threading

import pytest

from facetag.batch.output import open_output
from facetag.errors import FacetagError


def write(out, text="new\n"):
    with open_output(str(out)) as stream:
        stream.write(text)


def test_a_file_appears_whole(tmp_path):
    out = tmp_path / "tags.csv"
    out.write_text("old")
    with open_output(str(out)) as stream:
        stream.write("né\r\n")
        stream.flush()
        assert out.read_text() == "old"
    assert out.read_bytes() == "né\r\n".encode()
    assert os.listdir(tmp_path) == ["tags.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, FacetagError])
def test_a_run_that_ends_early_leaves_what_was_there(tmp_path, error):
    out = tmp_path / "tags.csv"
    out.write_text("old")

    def break_off():
        with open_output(str(out)) as stream:
            stream.write("half")
            raise error("stop")

    with pytest.raises(error):
        break_off()
    assert out.read_text() == "old"
    assert os.listdir(tmp_path) == ["tags.csv"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    write(tmp_path / "tags.csv")
    (tmp_path / "other").touch()
    assert (tmp_path / "tags.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_is_kept_and_what_it_leads_to_replaced(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new\n"


def test_a_name_as_long_as_names_may_be(tmp_path):
    write(tmp_path / ("n" * 251 + ".csv"))
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("out", ["no/such/folder.csv", "."])
def test_what_cannot_be_written_is_named(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FacetagError, match=rf"^cannot write {out}: "):
        write(out)
    assert os.listdir(tmp_path) == []


def test_a_fifo_is_written_and_stays(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_text()))
    reader.start()
    write(fifo)
    reader.join()
    assert received == ["new\n"]
    assert fifo.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_line():
    with pytest.raises(FacetagError, match=r"^cannot write /dev/full: No space left on device; "):
        write("/dev/full")


def test_standard_output_comes_line_by_line_and_stays_open(capfdbinary):
    with open_output("-") as stream:
        stream.write("é\r\n")
        assert capfdbinary.readouterr().out == "é\r\n".encode()
    print("more")
    assert capfdbinary.readouterr().out == b"more\n"
