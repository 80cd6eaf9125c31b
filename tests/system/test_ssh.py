"""Photos and outputs behind SSH: paramiko's own server gives them out."""

import errno
import io
import os
import time

import pytest
from photographs import make_photographs

from facetag import cli
from facetag.errors import FacetagError
from facetag.formats import parts
from facetag.images.discover import Seen, discover
from facetag.remote import patience, ssh, store, writing
from facetag.remote.url import as_url

pytestmark = [pytest.mark.system, pytest.mark.process]
pytest.importorskip("paramiko")


@pytest.fixture
def server(tmp_path, monkeypatch):
    from sftp_server import sftp_server

    make_photographs(tmp_path / "root", 3)
    (tmp_path / "root/out").mkdir()
    monkeypatch.setattr(patience, "FIRST", 0.05)
    with sftp_server(tmp_path / "root") as server:
        (tmp_path / "known_hosts").write_text(server.key)
        monkeypatch.setattr(ssh, "_KNOWN", (str(tmp_path / "known_hosts"),))
        store.end_connections()
        yield server
    store.end_connections()


@pytest.fixture
def facetag(model_folder, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = cli.run([*words, "--model", str(model_folder)])
        return code, capfdbinary.readouterr().err.decode()

    return run


def address(server):
    return f"ssh://me:pa55word@127.0.0.1:{server.port}/"


def test_photos_are_answered_as_here_and_a_rerun_opens_what_changed(facetag, server, tmp_path):
    assert facetag("predict", "root", "--out", "here.csv")[0] == 0
    code, err = facetag("predict", address(server), "--out", "there.csv")
    assert code == 0 and "pa55word" not in err, err
    shown = f"ssh://127.0.0.1:{server.port}/"
    assert (tmp_path / "there.csv").read_text().replace(shown, "root/") == (tmp_path / "here.csv").read_text()
    assert len(server.opened) == 3

    server.opened.clear()
    (tmp_path / "root/000001.jpg").write_bytes((tmp_path / "root/000002.jpg").read_bytes() + b"other")
    assert facetag("predict", address(server), "--out", "there.csv")[0] == 0
    assert server.opened == ["/000001.jpg"]


def test_a_lost_connection_is_made_again(facetag, server):
    where = as_url(address(server))
    there = store.store_of(where)
    whole = there.read(where.below("000000.jpg"), 1 << 20)
    server.drop()
    assert there.read(where.below("000000.jpg"), 1 << 20) == whole


def test_an_output_is_renamed_into_place(facetag, server, tmp_path):
    assert facetag("predict", "root", "--out", "here.csv")[0] == 0
    for _ in range(2):
        code, err = facetag("predict", "root", "--out", f"{address(server)}out/tags.csv", "--journal", "journal")
        assert code == 0, err
        assert [path.name for path in (tmp_path / "root/out").iterdir()] == ["tags.csv"]
        assert (tmp_path / "root/out/tags.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_a_host_that_nobody_knows_is_not_greeted(facetag, server, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    code, err = facetag("predict", f"{address(server)}000000.jpg", "--out", "there.csv")
    assert code == 3
    said = (tmp_path / "there.csv").read_text()
    assert f"the key of [127.0.0.1]:{server.port} is in no known_hosts; connect once with ssh" in said
    assert "pa55word" not in said + err


def test_a_folder_of_parts_and_a_list_lie_there_too(facetag, server, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 1)
    monkeypatch.setattr(ssh, "_BLOCK", 10)
    (tmp_path / "root/list").write_text("000000.jpg\n000001.jpg\n000002.jpg\n")
    words = ["predict", "--files-from", f"{address(server)}list"]
    out = ["--out", f"{address(server)}out/tags.parquet/", "--journal", "journal"]
    assert facetag(*words, "--out", "here.parquet/")[0] == 0
    for _ in range(2):
        code, err = facetag(*words, *out)
        assert code == 0, err
        there = {path.name: path.read_bytes() for path in (tmp_path / "root/out/tags.parquet").iterdir()}
        assert there == {path.name: path.read_bytes() for path in (tmp_path / "here.parquet").iterdir()}
    (tmp_path / "root/list").write_text("000000.jpg\n000001.jpg\n")
    assert facetag(*words, *out)[0] == 0
    assert len(list((tmp_path / "root/out/tags.parquet").iterdir())) == 3


def test_a_photo_behind_a_link_is_known_by_what_the_link_leads_to(server, tmp_path):
    (tmp_path / "root/in").mkdir()
    (tmp_path / "root/in/a.jpg").symlink_to("../000000.jpg")
    (tmp_path / "root/in/dangling.jpg").symlink_to("none.jpg")
    (tmp_path / "root/in/folder.jpg").symlink_to("../out")
    folder = f"{address(server)}in/"
    for data in (b"old", b"longer"):
        (tmp_path / "root/000000.jpg").write_bytes(data)
        discovery = discover([folder], follow_links=True)
        photo, dangling = discovery
        named = as_url(f"{folder}a.jpg")
        assert photo.stamp == store.store_of(named).stamp(named) and photo.stamp.size == len(data)
        assert dangling.endswith("/dangling.jpg") and dangling.stamp is None
        assert discovery.counts[Seen.SPECIAL] == 1


def test_a_pipe_is_never_opened(facetag, server, tmp_path):
    (tmp_path / "root/in").mkdir()
    os.mkfifo(tmp_path / "root/in/a.jpg")
    (tmp_path / "root/in/b.jpg").symlink_to("a.jpg")
    os.mkfifo(tmp_path / "root/in/nameless")
    discovery = discover([f"{address(server)}in/"])
    assert list(discovery) == [] and discovery.counts[Seen.SPECIAL] == 3
    assert facetag("predict", f"{address(server)}in/a.jpg", "--out", "there.csv")[0] == 3
    assert "not a regular file" in (tmp_path / "there.csv").read_text()
    pipe = as_url(f"{address(server)}in/a.jpg")
    there = store.store_of(pipe)
    for ask in (lambda: there.read(pipe, 9), lambda: there.copy(pipe, io.BytesIO(), 9)):
        with pytest.raises(PermissionError, match="not a regular file"):
            ask()
    assert server.opened == []


def test_a_silent_server_is_not_waited_for_for_ever(server, monkeypatch):
    monkeypatch.setattr(ssh, "_SILENCE", 0.3)
    monkeypatch.setattr(patience, "TRIES", 2)
    photo = as_url(f"{address(server)}000000.jpg")
    there = store.store_of(photo)
    assert there.read(photo, 9)
    server.silent = True
    with pytest.raises(OSError, match=os.strerror(errno.ETIMEDOUT)):
        there.read(photo, 9)
    server.silent = False
    assert there.read(photo, 9)


def test_a_server_that_never_begins_sftp_is_not_waited_for(server, monkeypatch):
    import paramiko

    monkeypatch.setattr(ssh, "_SILENCE", 0.3)
    monkeypatch.setattr(patience, "TRIES", 1)
    monkeypatch.setattr(paramiko.SFTPServer, "start_subsystem", lambda *_: time.sleep(2))
    photo = as_url(f"{address(server)}000000.jpg")
    with pytest.raises(OSError):  # noqa: PT011 - paramiko says it in many ways
        store.store_of(photo).read(photo, 9)


def test_every_name_of_a_file_works(facetag, server, tmp_path):
    folder = os.fsencode(tmp_path / "root/in/caf\udce9?#%41;")
    os.makedirs(folder)
    names = [b"caf\xe9.jpg", "é.jpg".encode(), b"a?b#c%41;d.jpg", b"new\nline.jpg", b"\xff\xfe"]
    for name in names:
        os.link(tmp_path / "root/000000.jpg", os.path.join(folder, name))
    (tmp_path / "here").symlink_to("root/in")
    code, err = facetag("predict", f"{address(server)}in/", "--out", "there.csv")
    assert code == 0, err
    assert facetag("predict", "here", "--out", "here.csv")[0] == 0
    shown = f"ssh://127.0.0.1:{server.port}/in/".encode()
    assert (tmp_path / "there.csv").read_bytes().replace(shown, b"here/") == (tmp_path / "here.csv").read_bytes()
    code, err = facetag("predict", f"{address(server)}in/", "--out", "there.csv")
    assert code == 0 and "5 reused" in err, err


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o664])
def test_an_output_keeps_its_mode_and_its_link(server, tmp_path, mode):
    out = tmp_path / "root/out"
    (out / "real.csv").write_bytes(b"old")
    (out / "real.csv").chmod(mode)
    (out / "l.csv").symlink_to("k.csv")
    (out / "k.csv").symlink_to("../out/real.csv")
    writing.replace(writing.as_it_is(as_url(f"{address(server)}out/l.csv")), io.BytesIO(b"new"))
    assert (out / "real.csv").read_bytes() == b"new" and (out / "real.csv").stat().st_mode & 0o777 == mode
    assert sorted(path.name for path in out.iterdir() if path.is_symlink()) == ["k.csv", "l.csv"]
    assert [(mode, size) for _, mode, size in server.changed] == [(0o600, 0), (mode, 3)]


def test_a_new_output_is_as_its_server_makes_it(server, tmp_path):
    out = tmp_path / "root/out"
    (out / "link.csv").symlink_to("real.csv")
    before = os.umask(0o027)
    try:
        writing.replace(writing.as_it_is(as_url(f"{address(server)}out/link.csv")), io.BytesIO(b"new"))
    finally:
        os.umask(before)
    assert (out / "real.csv").stat().st_mode & 0o777 == 0o640 and (out / "link.csv").is_symlink()
    assert server.changed == []


def test_an_upload_that_breaks_tells_its_own_error(server, monkeypatch):
    import paramiko

    out = writing.as_it_is(as_url(f"{address(server)}out/tags.csv"))
    there = store.store_of(out)

    def breaks(*_):
        there._forget()
        monkeypatch.setattr(there, "connect", lambda: _raise(paramiko.SSHException("no banner")))
        raise PermissionError(13, "it broke")

    monkeypatch.setattr(there, "_put", breaks)
    with pytest.raises(FacetagError, match=r"cannot write .*: Permission denied"):
        writing.replace(out, io.BytesIO(b"new"))


def _raise(error):
    raise error


def test_folders_are_made_and_files_removed(server, tmp_path):
    folder = as_url(f"{address(server)}out/a?/b/")
    there = store.store_of(folder)
    for _ in range(2):
        there.make_folder(folder)
    (tmp_path / "root/out/a?/b/c").write_bytes(b"0123456789")
    file = folder.below("c")
    assert there.read_end(file, 10, 3) == b"789" and there.read_end(file, 10, 20) == b"0123456789"
    for _ in range(2):
        there.remove(file)
    assert list(there.entries(folder)) == []
