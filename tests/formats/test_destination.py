import os
import stat
import threading

import pytest
from documents import NAMES, written

from facetag.errors import FacetagError, UsageError
from facetag.formats.destination import is_regular, open_output, refuse_foreign, refuse_to_replace
from facetag.formats.writers import WRITERS
from facetag.results import ImageResult, Status


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


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no /dev/fd here")
def test_what_is_open_already_is_written_by_its_other_names(tmp_path):
    reading, writing = os.pipe()
    with open(reading) as stream:
        for out in (f"/dev/fd/{writing}", f"/proc/self/fd/{writing}"):
            assert not is_regular(out)
            write(out)
        os.close(writing)
        assert stream.read() == "new\nnew\n"
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as appended:
        write(f"/dev/fd/{appended.fileno()}")
    assert log.read_text() == "before\nnew\n" and os.listdir(tmp_path) == ["log"]
    assert not any(map(is_regular, ("/dev/stdout", "/dev/stderr", "-")))
    assert is_regular(str(tmp_path / "fd" / "3")) and is_regular("/dev/shm.csv")


def test_pictures_journals_and_what_is_read_are_not_replaced(tmp_path):
    photo, journal, table = tmp_path / "a.jpg", tmp_path / "a.csv.facetag.sqlite", tmp_path / "a.csv"
    photo.write_bytes(b"\xff\xd8\xff" + bytes(80))
    journal.write_bytes(b"SQLite format 3\0" + bytes(80))
    table.write_text("path\n")
    link = tmp_path / "link.csv"
    link.symlink_to(photo)
    for out, message in ((photo, "is a JPEG picture"), (link, "is a JPEG picture"), (journal, "is a journal")):
        with pytest.raises(UsageError, match=f"{message} and would be replaced; name another file"):
            refuse_to_replace(str(out))
    with pytest.raises(UsageError, match="is read and would be replaced"):
        refuse_to_replace(str(table), None, f"{tmp_path}/./a.csv")
    for out in (str(table), "-", str(tmp_path / "new.csv"), str(tmp_path), "/dev/null"):
        refuse_to_replace(out, str(photo))


@pytest.mark.parametrize(
    "content",
    [
        "[ ] buy milk\n[ ] sleep\n",
        "[](https://example.org)\n",
        "schema_version: 2\npaths: []\n",
        "schema_version,name\n",
        '{"schema_version": "1.0", "licences": []}\n',
        '[{"schema_version": 1, "name": "mine"}]\n',
        "PAR1 schema_version PAR1",
    ],
)
def test_what_begins_nearly_as_our_documents_do_is_not_ours(tmp_path, content):
    (tmp_path / "mine").write_text(content)
    with pytest.raises(UsageError, match="was not written by facetag and would be replaced"):
        refuse_foreign(str(tmp_path / "mine"), is_known=False)


@pytest.mark.parametrize("format", [name for name in WRITERS if not name.startswith("exiftool")])
@pytest.mark.parametrize("attributes", [None, NAMES])
@pytest.mark.parametrize("number", [0, 2])
def test_our_documents_are_known_by_how_they_begin(tmp_path, format, attributes, number):
    out = tmp_path / "out"
    out.write_bytes(written(format, [ImageResult("a.jpg", Status.NO_FACE, "", 64, 48)] * number, attributes))
    refuse_foreign(str(out), is_known=False)


def test_a_folder_that_may_be_written_and_not_read_will_do(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags=0, *more, **named):
        if flags & os.O_DIRECTORY == os.O_DIRECTORY or path == str(tmp_path):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    write(tmp_path / "tags.csv")
    assert (tmp_path / "tags.csv").read_text() == "new\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
@pytest.mark.parametrize(("is_member", "group", "mode"), [(True, 4321, 0o660), (False, os.getegid(), 0o600)])
def test_who_may_not_give_files_away_keeps_the_group_or_gives_no_other_its_rights(
    tmp_path, monkeypatch, is_member, group, mode
):
    out = tmp_path / "tags.csv"
    out.touch()
    os.chown(out, 1234, 4321)
    out.chmod(0o660)
    chown = os.fchown

    def refuse(handle, owner, group):
        if owner != -1 or not is_member:
            raise PermissionError
        chown(handle, owner, group)

    monkeypatch.setattr(os, "fchown", refuse)
    write(out)
    assert (out.stat().st_gid, stat.S_IMODE(out.stat().st_mode)) == (group, mode)


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


@pytest.mark.parametrize(("terminal", "written"), [(True, "a\\u202eb\n"), (False, "a\u202eb\n")])
def test_marks_that_turn_text_round_are_spelled_out_on_a_terminal_alone(monkeypatch, capfdbinary, terminal, written):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    with open_output("-") as stream:
        stream.write("a\u202eb\n")
    assert capfdbinary.readouterr().out.decode() == written
