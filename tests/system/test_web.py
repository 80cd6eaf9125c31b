"""Photos and lists on a web server of the standard library, some of whose answers are not the usual ones."""

import csv
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from photographs import make_photographs

from facetag import cli
from facetag.errors import DataError, UnreadableImage
from facetag.remote import patience, reading, store, web
from facetag.remote.url import as_url

pytestmark = [pytest.mark.system, pytest.mark.process]
pytest.importorskip("aiohttp")


class Site(ThreadingHTTPServer):
    """What is served, the first requests that fail with a status, and what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.failing, self.seen = {}, {}, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *said):
        """Nothing."""

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        data = self.answer()
        if data is None:
            while True:  # for ever
                try:
                    self.wfile.write(bytes(1 << 16))
                except OSError:
                    return
        self.wfile.write(data)

    def answer(self):
        self.server.seen.append((self.command, self.path))
        failing = self.server.failing.get(self.path.partition("?")[0], [])
        status = failing.pop(0) if failing else 200 if self.path.partition("?")[0] in self.server.files else 404
        data = self.server.files.get(self.path.partition("?")[0], b"") if status == 200 else b""
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        if data is not None:
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hash(data)}"')
        self.end_headers()
        return data


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Three photos, in the folder `in` and on a server."""
    monkeypatch.setattr(patience, "FIRST", 0.05)
    store.end_connections()
    site = Site()
    for path in make_photographs(tmp_path / "in", 3).iterdir():
        site.files[f"/in/{path.name}"] = path.read_bytes()
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    yield site
    store.end_connections()
    site.shutdown()
    site.server_close()
    thread.join()


@pytest.fixture
def facetag(model_folder, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = cli.run([*words, "--model", str(model_folder)])
        return code, capfdbinary.readouterr().err.decode()

    return run


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_list_and_its_photos_are_answered_as_here_and_a_rerun_reads_what_changed(facetag, site, tmp_path):
    site.files["/list"] = b"in/000000.jpg\nin/000001.jpg\nin/000002.jpg\n"
    words = ("predict", "--files-from", f"{site.address}/list", "--out", "there.csv")
    assert facetag("predict", "in", "--out", "here.csv")[0] == 0
    code, err = facetag(*words)
    assert code == 0, err
    there = (tmp_path / "there.csv").read_text()
    assert there.replace(f"{site.address}/", "") == (tmp_path / "here.csv").read_text()

    site.seen.clear()
    site.files["/in/000001.jpg"] = site.files["/in/000002.jpg"] + b"other"
    assert facetag(*words)[0] == 0
    assert [path for method, path in site.seen if method == "GET"] == ["/list", "/in/000001.jpg"]


def test_what_fails_for_a_while_is_asked_again_and_what_lasts_is_a_row(facetag, site, tmp_path):
    site.failing = {"/in/000000.jpg": [503, 500], "/in/000001.jpg": [200, 429], "/in/000002.jpg": [403] * 9}
    urls = [f"{site.address}/in/00000{number}.jpg?token=pa55word" for number in range(3)]
    code, err = facetag("predict", *urls, f"{site.address}/none.jpg", "--out", "there.csv", "-v")
    assert code == 3 and "pa55word" not in err + (tmp_path / "there.csv").read_text()
    names = {row["path"].rpartition("/")[2].partition("?")[0]: row["error"] for row in rows(tmp_path / "there.csv")}
    failed = {name: error for name, error in names.items() if error}
    assert failed == {"000002.jpg": "Permission denied", "none.jpg": "No such file or directory"}
    assert ("GET", "/in/000000.jpg?token=pa55word") in site.seen


def test_a_server_that_cannot_be_reached_is_asked_again_and_its_photo_is_not_called_missing(site, monkeypatch):
    slept = []
    monkeypatch.setattr(patience, "_pause", lambda error, number, pace: slept.append(number))
    site.shutdown()
    site.server_close()
    with pytest.raises(UnreadableImage, match="Connect call failed"):
        reading.stamp_before(as_url(f"{site.address}/in/000000.jpg"))
    assert slept == [0, 1, 2, 3, 4]


def test_an_answer_without_end_is_not_read_to_its_end(site, monkeypatch):
    site.files["/endless"] = None
    url = as_url(f"{site.address}/endless")
    monkeypatch.setattr(web, "_BLOCK", 1 << 16)
    assert len(store.store_of(url).read(url, 1 << 20)) == 1 << 20


def test_a_list_of_any_length_does_not_fill_memory(site, monkeypatch):
    site.files["/endless"] = None
    monkeypatch.setattr(reading, "MOST_OF_A_LIST", 64 << 20)
    tracemalloc.start()
    try:
        with (
            pytest.raises(DataError, match=f"is larger than {64 << 20} bytes"),
            reading.whole_list(as_url(f"{site.address}/endless")),
        ):
            pass
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
