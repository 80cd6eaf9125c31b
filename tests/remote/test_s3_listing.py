"""What becomes of a bucket's listing, whatever a server answers."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import DataError
from facetag.images.discover import discover
from facetag.remote import reading, s3, writing
from facetag.remote.s3 import S3Store, in_order
from facetag.remote.store import Entry, Refused
from facetag.remote.url import as_url

exceptions = pytest.importorskip("botocore.exceptions")
errors = pytest.importorskip("s3fs.errors")

IN = "s3://bucket/in/"


def refusal(code, status):
    """As s3fs raises it."""
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return errors.translate_boto_error(exceptions.ClientError(answer, "ListObjectsV2"))


def page(*keys, token=None, **more):
    contents = [{"Key": key, "Size": 10, "ETag": f'"{key}"'} for key in keys]
    goes_on = {"IsTruncated": True, "NextContinuationToken": token} if token else {"IsTruncated": False}
    return {**goes_on, "Contents": contents, **more}


@pytest.fixture
def answers(monkeypatch):
    """What a server answers, one request after the other; the last answer again and again. An error is raised."""
    answers = []

    def call_s3(method, **arguments):
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    there = S3Store(as_url(IN).login)
    there._files = SimpleNamespace(call_s3=call_s3)
    for module in (reading, writing):
        monkeypatch.setattr(module, "store_of", lambda url: there)
    return answers


GONE = [
    ("NoSuchBucket", 404), ("AccessDenied", 403), ("ExpiredToken", 400), ("Unauthorized", 401), ("Conflict", 409)
]  # fmt: skip


@pytest.mark.parametrize(("code", "status"), GONE)
@pytest.mark.parametrize(
    "first", [page("in/a.jpg", token="2"), page("in/IMG-1.jpg", token="2"), page("in/", token="2")]
)
def test_a_listing_that_breaks_after_a_page_ends_the_walk_whatever_the_server_says(code, status, first, answers):
    answers[:] = [first, refusal(code, status)]
    with pytest.raises(DataError, match=f"^{IN} cannot be listed: "):
        list(discover([IN]))


@pytest.mark.parametrize(("code", "status"), GONE)
def test_a_folder_that_is_missing_or_closed_is_a_row_and_no_other(code, status, answers):
    answers[:] = [refusal(code, status)]
    if status in (403, 404):
        assert list(discover([IN])) == [IN]
    else:
        with pytest.raises(DataError, match=f"cannot be listed: the server (answered {status}|wants a login); "):
            list(discover([IN]))


def test_parts_that_lie_behind_a_page_that_fails_are_not_taken_for_none(answers):
    answers[:] = [page("in/a.parquet", token="2"), refusal("NoSuchBucket", 404)]
    with pytest.raises(Exception, match=f"cannot write {IN}: "):
        writing.listed(as_url(IN))


def test_who_is_refused_by_this_machine_learns_nothing_of_the_folder(answers):
    answers[:] = [Refused("the key of bucket is in no known_hosts")]
    with pytest.raises(DataError, match="cannot be listed: the key of bucket is in no known_hosts"):
        list(discover([IN]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([page("in/a.jpg", token="same")], "its listing does not go on"),
        ([page("in/a.jpg", IsTruncated=True)], "its listing does not go on"),
        ([page("in/a.jpg", token="2"), {}], "the server's answer is no listing"),
        ([{"ResponseMetadata": {"HTTPStatusCode": 200}}], "the server's answer is no listing"),
        ([page("in/a.jpg", "other/b.jpg")], "its listing names what lies elsewhere"),
        ([page(CommonPrefixes=[{"Prefix": "in/"}])], "its listing names what lies elsewhere"),
    ],
)
def test_what_is_no_listing_of_the_folder_is_said_in_one_line(given, said, answers):
    answers[:] = given
    with pytest.raises(DataError) as error:
        list(discover([IN]))
    assert str(error.value) == f"{IN} cannot be listed: {said}; mend that; the same command goes on"


@pytest.mark.parametrize("ring", [2, 3, 7])
def test_a_listing_whose_pages_go_round_ends(ring, answers):
    answers[:] = [page(f"in/{number:04}.jpg", token=f"token {number % ring}") for number in range(200)]
    with pytest.raises(DataError, match="its listing does not go on"):
        list(discover([IN]))
    assert len(answers) > 150


def test_folders_of_any_depth_are_walked(answers, monkeypatch):
    deep = 3000

    def entries(folder):
        depth = folder.path.count("/") - 1
        yield Entry("a.jpg", False) if depth == deep else Entry("d", True)

    monkeypatch.setattr(reading, "entries", entries)
    assert [url.path for url in discover([IN])] == ["in/" + deep * "d/" + "a.jpg"]


def test_an_object_without_a_size_is_an_object(answers):
    answers[:] = [{"IsTruncated": False, "Contents": [{"Key": "in/a.jpg"}]}]
    assert [(each.name, each.stamp.size) for each in reading.entries(as_url(IN))] == [("a.jpg", -1)]


def in_a_bucket(keys):
    """Entries in the order of whole keys, and a function that knows the folders among them."""
    firsts = {key.partition("/")[::2] for key in keys}
    folders = {name for name, below in firsts if below}
    entries = [Entry(name, True) for name in folders] + [Entry(key, False) for key in keys if "/" not in key]
    return sorted(entries, key=lambda entry: entry.name.encode() + b"/" * entry.folder), folders


@given(
    st.sets(st.text(st.sampled_from("ab-./~é"), min_size=1, max_size=6).filter(lambda name: name.strip("/") == name)),
    st.integers(0, 3),
)
def test_the_order_is_the_same_where_folders_are_asked_for(keys, most):
    entries, folders = in_a_bucket(keys)
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "_WAITING", most)
        ordered = list(in_order(iter(entries), lambda name: asked.append(name) or name in folders))
    assert ordered == list(in_order(iter(entries)))
    assert len(ordered) == len(entries) and len(asked) == len(set(asked))


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    ("name", "stems"),
    [
        ("IMG-{:05}.jpg", ["IMG"]),
        ("{:05}.jpg", []),
        ("scan.{:05}.jpg", ["scan"]),
        ("2024-01-02 {:05}.1.jpg", ["2024", "2024-01", "2024-01-02"]),
    ],
)
def test_few_names_wait_and_few_requests_ask(name, stems, folder):
    taken, asked = [], []

    def listed():
        for number in range(9000):
            taken.append(number)
            yield Entry(name.format(number), False)
        if folder and stems:
            yield Entry(stems[0], True)

    def is_folder(stem):
        asked.append(stem)
        return folder and stem == stems[0]

    found = [(each.name, len(taken) - index) for index, each in enumerate(in_order(listed(), is_folder))]
    names = [name for name, _ in found]
    assert names == sorted(names) and len(names) == len(taken) + bool(folder and stems)
    assert max(waited for _, waited in found) <= 1002 and asked == stems


def test_a_folder_that_was_asked_for_comes_once_and_before_the_rest_is_listed(answers, monkeypatch):
    monkeypatch.setattr(s3, "_WAITING", 1)
    rest = page("in/IMG-3.jpg", CommonPrefixes=[{"Prefix": "in/IMG/"}])
    answers[:] = [page("in/IMG-1.jpg", "in/IMG-2.jpg", token="2"), page("in/IMG/a.jpg"), rest]
    found = reading.entries(as_url(IN))
    assert [next(found).name for _ in range(2)] == ["IMG", "IMG-1.jpg"] and answers == [rest]
    assert [each.name for each in found] == ["IMG-2.jpg", "IMG-3.jpg"]


@pytest.mark.parametrize(("code", "status"), GONE[:2])
def test_a_folder_that_may_not_be_asked_for_ends_no_listing(code, status, answers, monkeypatch):
    monkeypatch.setattr(s3, "_WAITING", 1)
    answers[:] = [page("in/IMG-1.jpg", "in/IMG-2.jpg", token="2"), refusal(code, status), page("in/IMG-3.jpg")]
    assert [each.name for each in reading.entries(as_url(IN))] == ["IMG-1.jpg", "IMG-2.jpg", "IMG-3.jpg"]
