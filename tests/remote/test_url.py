import pickle

import pytest

from facetag.errors import UsageError
from facetag.remote.url import Stamp, Url, as_url, refuse_unknown, refuse_url


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://bucket/a b/é.jpg", "s3://bucket/a b/é.jpg"),
        ("S3://bucket", "s3://bucket"),
        ("ssh://me:pa:ss@host:22/a.jpg", "ssh://host:22/a.jpg"),
        ("ssh://me@host/a.jpg", "ssh://me@host/a.jpg"),
        ("https://host/a.jpg?id=1&w=2", "https://host/a.jpg?id=1&w=2"),
        ("https://host/a.jpg?X-Amz-Signature=abc&X-Amz-Credential=k", "https://host/a.jpg"),
        ("https://host/a.jpg?id=1&access_token=abc&sig=x", "https://host/a.jpg?id=1"),
        ("https://me:pass@host?token=x", "https://host"),
        ("s3://bucket/what?token=x", "s3://bucket/what?token=x"),
    ],
)
def test_what_is_shown_has_no_password_and_what_is_opened_has_it(given, shown):
    url = as_url(given)
    assert url == shown and str(url) == shown
    assert url.whole.lower() == given.lower()
    assert as_url(url) is url


def test_other_paths_are_no_urls():
    assert [as_url(path) for path in ("a.jpg", "/a", "s3:/a", "file:///etc/passwd", "gs://b/a", "")] == [None] * 6
    with pytest.raises(UsageError, match=r"gs:// is not read; name one of s3://"):
        refuse_unknown("gs://bucket/a.jpg")
    refuse_unknown("photos/a.jpg")


def test_a_folder_on_this_machine_is_none():
    with pytest.raises(UsageError, match="--draw is on this machine, and s3:// is not; name a path here"):
        refuse_url("--draw", "s3:/bucket/a")
    refuse_url("--draw", "drawings")


def test_parts():
    url = as_url("sftp://me:p%40ss@[::1]:2022/photos/a.jpg")
    assert (url.login.host, url.login.port, url.login.user, url.login.password) == ("::1", 2022, "me", "p@ss")
    assert (url.path, url.parent, url.is_folder) == ("photos/a.jpg", "sftp://[::1]:2022/photos/", False)
    assert as_url("s3://bucket").is_folder and as_url("s3://bucket/a/").is_folder
    assert not as_url("https://host/").is_folder
    assert as_url("s3://bucket").folder == "s3://bucket/" and as_url("s3://bucket").path == ""


def test_what_lies_in_a_folder_keeps_its_login_and_its_stamp_through_a_pickle():
    stamp = Stamp(3, "tag")
    below = as_url("ssh://me:pass@host/photos/").below("a.jpg", stamp=stamp)
    for url in (below, pickle.loads(pickle.dumps(below))):
        assert isinstance(url, Url)
        assert (url, url.whole, url.stamp) == ("ssh://host/photos/a.jpg", "ssh://me:pass@host/photos/a.jpg", stamp)


def test_lines_of_a_list_lie_beside_it_and_never_here():
    listed = as_url("https://me:pass@host/lists/one.txt?token=x")
    assert listed.joined("a.jpg").whole == "https://me:pass@host/lists/a.jpg"
    assert listed.joined("/etc/passwd") == "https://host/etc/passwd"
    assert listed.joined("s3://bucket/a.jpg") == "s3://bucket/a.jpg"
    assert listed.joined("file:///etc/passwd").startswith("https://host/lists/")


def test_errors_of_others_are_said_without_secrets():
    url = as_url("https://me:pa%20ss@host/a?sig=abcdef&id=7")
    said = "cannot open https://me:pa%20ss@host/a?sig=abcdef&id=7 with pa ss"
    assert url.without_secrets(said) == "cannot open https://***@host/a?sig=***&id=7 with ***"
