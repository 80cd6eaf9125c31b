"""Photos and outputs behind SSH: paramiko's own server gives them out."""

import pytest
from photographs import make_photographs

from facetag import cli
from facetag.formats import parts
from facetag.remote import patience, ssh, store
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
