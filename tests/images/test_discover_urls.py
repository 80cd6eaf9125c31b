import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import DataError, UsageError
from facetag.images.discover import Seen, discover
from facetag.remote import patience, store
from facetag.remote.s3 import in_order
from facetag.remote.store import Entry
from facetag.remote.url import as_url

fsspec = pytest.importorskip("fsspec")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
TREE = "b.jpg a/2.jpg a/1.jpg a.jpg a-b.jpg a/z/3.jpg B.jpg é.jpg c/d/e.jpg .h/f.jpg .i.jpg note.txt nameless= tags.csv"


@pytest.fixture
def both(tmp_path):
    """The same files in a folder and at a URL, from a text of paths; what ends in `=` holds image bytes."""
    files = fsspec.filesystem("memory")
    files.store.clear()

    def make(text):
        for word in text.split():
            data, name = (PNG, word[:-1]) if word.endswith("=") else (b"text", word)
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            files.pipe_file(f"/bucket/in/{name}", data)
        return str(tmp_path), "memory://bucket/in/"

    yield make
    files.store.clear()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recursive": False},
        {"hidden": True},
        {"extensions": ["JPG"]},
        {"exclude": ["a/", "/c/d/e.jpg"]},
        {"exclude": ["*.jpg", "!b.jpg"]},
    ],
)
def test_a_folder_at_a_url_is_walked_as_one_here(options, both):
    here, there = both(TREE)
    local, remote = discover([here], **options), discover([there], **options)
    names = [path.removeprefix(f"{here}/") for path in local]
    assert [path.removeprefix(there) for path in remote] == names and names
    assert remote.counts == local.counts


def test_only_names_without_an_ending_are_opened_to_be_listed(both, monkeypatch):
    _, there = both("a.txt= b= c.jpg")
    opened = []
    read = store.Store.read
    monkeypatch.setattr(store.Store, "read", lambda self, url, most: opened.append(url) or read(self, url, most))
    discovery = discover([there])
    assert [path.removeprefix(there) for path in discovery] == ["b", "c.jpg"]
    assert opened == [f"{there}b"] and discovery.counts[Seen.OTHER] == 1


def test_what_was_listed_carries_its_stamp_and_what_was_named_does_not(both):
    _, there = both("a.jpg")
    (listed,) = discover([there])
    (named,) = discover([f"{there}a.jpg"])
    assert listed == named and listed.stamp.size == 4 and listed.stamp.tag and named.stamp is None


def test_each_is_yielded_once(both):
    _, there = both("a.jpg b.jpg")
    named_first = discover([f"{there}b.jpg", there, there, f"{there}a.jpg", "memory://bucket/in/none.jpg"])
    assert [path.removeprefix(there) for path in named_first] == ["b.jpg", "a.jpg", "none.jpg"]
    assert named_first.counts[Seen.REPEATED] == 3
    assert named_first.was_missing("memory://bucket/in/none.jpg")


def test_what_the_user_names_gets_its_row_where_a_walk_passed_it_over(both):
    _, there = both("a.jpg .hidden.jpg notes.txt drawn/b.jpg")
    named = [f"{there}{name}" for name in ("notes.txt", ".hidden.jpg", "drawn/b.jpg")]
    walked_first = discover([there, *named, f"{there}a.jpg"], exclude=["b.jpg"])
    assert list(walked_first) == [f"{there}a.jpg", *named]
    assert walked_first.counts[Seen.REPEATED] == 1
    assert sorted(discover([*named, there], exclude=["b.jpg"])) == sorted([f"{there}a.jpg", *named])


def test_photos_that_a_parameter_tells_apart_are_all_yielded():
    asked = [f"http://host/d?{name}={number}.jpg" for name in ("key", "auth", "my_token", "id") for number in range(3)]
    found = list(discover([*asked, *asked]))
    assert [url.whole for url in found] == asked and len(set(found)) == len(asked)


def test_paths_seen_from_a_folder_leave_urls_as_they_are(both):
    here, there = both("a.jpg")
    assert list(discover([here, there], relative_to=here)) == ["a.jpg", f"{there}a.jpg"]


def test_a_folder_that_is_not_there_is_yielded(both):
    both("a.jpg")
    assert list(discover(["memory://bucket/other/"])) == ["memory://bucket/other/"]


def test_a_server_that_ceases_to_answer_ends_the_listing(both, monkeypatch):
    _, there = both("a.jpg")
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", _broken)
    with pytest.raises(DataError, match="memory://bucket/in/ cannot be listed: it broke; mend that"):
        list(discover([there]))


def _broken(self, path, detail=True):
    raise OSError(5, "it broke")


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setattr(store, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"s3:// needs s3fs; pip install 'facetag\[s3\]'"):
        store.store_of(as_url("s3://bucket/a.jpg"))


@given(
    st.sets(st.text(st.sampled_from("ab-./~é"), min_size=1, max_size=6).filter(lambda name: name.strip("/") == name))
)
def test_entries_of_a_bucket_come_in_the_order_of_a_folder(keys):
    firsts = {key.partition("/")[::2] for key in keys}
    folders = {name for name, below in firsts if below}
    entries = [Entry(name, True) for name in folders] + [Entry(key, False) for key in keys if "/" not in key]
    listed = sorted(entries, key=lambda entry: entry.name.encode() + b"/" * entry.folder)
    ordered = [entry.name.encode() for entry in in_order(iter(listed))]
    assert ordered == sorted(entry.name.encode() for entry in entries)


def test_few_names_wait_for_their_turn():
    taken = []

    def listed():
        for number in range(1000):
            taken.append(number)
            yield Entry(f"IMG_{number:04}.jpg", False)

    for index, _ in enumerate(in_order(listed())):
        assert len(taken) - index <= 2


def test_what_is_named_beside_a_folder_that_cannot_be_listed_gets_its_row(both, monkeypatch):
    both("a.jpg=")

    def closed(self, folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.Store, "entries", closed)
    folder = "memory://bucket/in/"
    assert list(discover([folder, f"{folder}a.jpg", folder])) == [folder, f"{folder}a.jpg"]
