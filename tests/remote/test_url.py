import pickle
import re

import pytest

from facetag.errors import UsageError
from facetag.remote.store import reason_of
from facetag.remote.url import Stamp, Url, as_url, refuse_unknown, refuse_url

AMAZON = "AWSAccessKeyId=k&Expires=12&Signature=secret"
AMAZON_4 = "X-Amz-Algorithm=a&X-Amz-Credential=k&X-Amz-Date=d&X-Amz-Expires=12&X-Amz-Signature=secret"
CLOUDFRONT = "Policy=p&Key-Pair-Id=k&Hash-Algorithm=SHA256&Signature=secret"
GOOGLE = "GoogleAccessId=me&Expires=12&Signature=secret"
AZURE = "sv=2020&st=2024-01-01&se=2024-02-01&sr=b&sp=r&spr=https&skoid=o&sktid=t&skt=a&ske=b&sks=b&skv=2&sig=secret"
SECRET = """
    key apiKey api-key AWSAccessKeyId token %74oken to%6ben oauth_token auth Authorization X-Amz-Credential
    pwd pass password client_secret jwt code sessionid"""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://bucket/a b/é.jpg", "s3://bucket/a b/é.jpg"),
        ("S3://bucket", "s3://bucket"),
        ("ssh://me:pa:ss@host:22/a.jpg", "ssh://host:22/a.jpg"),
        ("ssh://me@host/a.jpg", "ssh://me@host/a.jpg"),
        ("https://host/a.jpg?id=1&w=2", "https://host/a.jpg?id=1&w=2"),
        ("https://host/a.jpg?X-Amz-Signature=abc&X-Amz-Credential=k", "https://host/a.jpg"),
        ("https://host/a.jpg?id=1&sig=x", "https://host/a.jpg?id=1"),
        ("https://me:pass@host?sig=x", "https://host"),
        ("https://ghp_token@host/a.jpg#access_token=x", "https://host/a.jpg"),
        ("https://host:8080/me@home/a@2x.jpg", "https://host:8080/me@home/a@2x.jpg"),
        ("s3://bucket/what?token=x", "s3://bucket/what?token=x"),
    ],
)
def test_what_is_shown_has_no_password_and_what_is_opened_has_it(given, shown):
    url = as_url(given)
    assert url == shown and str(url) == shown
    assert url.whole.lower() == given.lower()
    assert as_url(url) is url


@pytest.mark.parametrize("signature", [AMAZON, AMAZON_4, CLOUDFRONT, GOOGLE, AZURE])
def test_a_new_signature_is_of_the_same_address(signature):
    assert as_url(f"https://host/a.jpg?{signature}") == "https://host/a.jpg"
    assert as_url(f"https://host/a.jpg?v=1&{signature};id=2&w=3") == "https://host/a.jpg?v=1;id=2&w=3"


def test_what_comes_with_a_signature_is_shown_where_there_is_none():
    for query in ("Expires=1&Policy=p&Key-Pair-Id=k", "sv=1&st=2&se=3&sr=4&sp=5&skt=6", "sp=1&sku=2"):
        assert as_url(f"https://host/a.jpg?{query}") == f"https://host/a.jpg?{query}"


@pytest.mark.parametrize("name", SECRET.split())
def test_other_secrets_tell_photos_apart_and_are_not_shown(name):
    one, other = (as_url(f"https://host/a.jpg?x=1&{name}=pa55{number};word&y=2") for number in (1, 2))
    assert re.fullmatch(rf"https://host/a\.jpg\?x=1&{name}=\*\*\*[0-9a-f]{{16}}&y=2", one)
    assert one != other
    assert as_url(str(one)) == one, "a row's path means the same"
    assert as_url(f"https://host/a.jpg?x=1;{name}=pa551;word").startswith(f"https://host/a.jpg?x=1;{name}=***")
    assert "pa55" not in as_url(f"https://host/a.jpg;{name}=pa55/b.jpg")


@pytest.mark.parametrize("name", ["author", "authority", "keyword", "page", "passage", "id", "barcode", "width"])
def test_other_parameters_are_shown(name):
    assert as_url(f"https://host/a.jpg?{name}=1") == f"https://host/a.jpg?{name}=1"


@pytest.mark.parametrize("url", ["https://me:pa/ss@host/a.jpg", "ssh://me:pa#ss@host/a.jpg", "s3://me:pa?ss@bucket/"])
def test_a_password_that_ends_the_host_is_refused_and_not_said(url):
    with pytest.raises(UsageError, match=r"^a URL of \w+:// has / \? or # in its password; write %2F, %3F or %23$"):
        as_url(url)


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
    assert url.without_secrets(said) == "cannot open https://host/a?id=7 with ***"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("moved to ftp://bob:TOPSECRET@other/x?X-Amz-Signature=TOPSECRET", "moved to ftp://other/x"),
        ("url='HTTPS://TOPSECRET@other/x?id=1&sig=TOPSECRET#TOPSECRET'", "url='https://other/x?id=1"),
        ("no https://bob:TOP/SECRET@other/ here", "no https://*** here"),
        ("s3://bucket/a?b#c is gone", "s3://bucket/a?b#c is gone"),
    ],
)
def test_reasons_quote_no_secret_of_another_url(said, shown):
    assert reason_of(ValueError(said), as_url("https://host/a.jpg")) == shown
