"""URLs of photos, lists and outputs. What passes through a run is text that anybody may read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from facetag.errors import UsageError

#: Scheme -> what fsspec needs for it, and the extra that brings that.
NEEDS = {
    "s3": ("s3fs", "s3"),
    "ssh": ("paramiko", "ssh"),
    "sftp": ("paramiko", "ssh"),
    "http": ("aiohttp", "http"),
    "https": ("aiohttp", "http"),
    "memory": ("fsspec", "urls"),
}
_URL = re.compile(rf"({'|'.join(NEEDS)})://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)
_OTHER = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
#: Parameters of a query that let in whoever has them: those of presigned addresses, and what sounds like a password.
_SECRET = re.compile(
    r"x-(amz|goog)-|awsaccesskeyid$|sig$|se$|(api|access)?[_-]?key([_-]?id)?$|auth|.*(signature|token|credential|secret|passw)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Stamp:
    """What tells one state of an object from another without reading it.

    Attributes:
        size: in bytes; -1 where nobody says.
        tag: its ETag, or else when it changed, as the server spells that; empty where it says neither.
    """

    size: int
    tag: str


class Url(str):
    """A URL without passwords and signatures: this is what rows, messages and the journal say.

    Attributes:
        whole: the URL with them, which opens it.
        stamp: of the object, as a listing said it; None where none did.
    """

    whole: str
    stamp: Stamp | None

    def __new__(cls, text: str, whole: str = "", stamp: Stamp | None = None) -> Self:
        """`text` has no secrets; `as_url` takes them out."""
        url = super().__new__(cls, text)
        url.whole, url.stamp = whole or text, stamp
        return url

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, Stamp | None]]:
        return type(self), (str(self), self.whole, self.stamp)

    @property
    def scheme(self) -> str:
        return self.partition(":")[0]

    @property
    def is_folder(self) -> bool:
        """A URL that ends in a slash stands for all that begins with it; so does one that names a bucket or a host."""
        return self.scheme not in ("http", "https") and (self.endswith("/") or self.count("/") == 2)

    @property
    def folder(self) -> "Url":
        """The same with a slash at its end."""
        return self if self.endswith("/") else Url(f"{self}/", f"{self.whole}/")

    @property
    def parent(self) -> str:
        """The folder that it lies in, in words."""
        return self.rpartition("/")[0] + "/"

    @property
    def path(self) -> str:
        """Below the bucket or host, without the slash between them."""
        return self.split("/", 3)[3] if self.count("/") > 2 else ""

    @property
    def login(self) -> "Login":
        """The host, and who one is there."""
        authority = self.whole.split("/", 3)[2]
        user, _, host = authority.rpartition("@")
        name, _, password = user.partition(":")
        host, port = _host_and_port(host)
        return Login(host, port, unquote(name), unquote(password))

    def below(self, name: str, is_folder: bool = False, stamp: Stamp | None = None) -> "Url":
        """What lies in this folder under a name."""
        end = "/" if is_folder else ""
        return Url(f"{self}{name}{end}", f"{self.whole}{name}{end}", stamp)

    def joined(self, line: str) -> "Url":
        """What a line of the list at this URL means: a URL, or else a path beside the list. Never a file here."""
        return as_url(line) or _next_to(self, line)

    def without_secrets(self, text: str) -> str:
        """A text of others, such as an error's, without what only `whole` has.

        >>> as_url("ssh://me:pass@host/a").without_secrets("no way to ssh://me:pass@host")
        'no way to ssh://***@host'
        """
        for secret in _secrets(self.whole):
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class Login:
    """A host, and who one is there; `port` 0 and empty words stand for the usual ones."""

    host: str
    port: int
    user: str
    password: str


def as_url(text: str) -> Url | None:
    """The URL that a path is; None of a path on this machine.

    >>> as_url("https://me:pass@host/a.jpg?id=1&token=x")
    'https://host/a.jpg?id=1'
    >>> as_url("photos/a.jpg") is None
    True
    """
    if isinstance(text, Url):
        return text
    found = _URL.fullmatch(text)
    if found is None:
        return None
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    user, _, host = authority.rpartition("@")
    shown = host if ":" in user else authority
    whole = f"{scheme}://{authority}{rest}"
    return Url(f"{scheme}://{shown}{_without_secrets(rest) if scheme.startswith('http') else rest}", whole)


def refuse_unknown(text: str) -> None:
    """See that what looks like a URL is one that can be read.

    Raises:
        UsageError: it is of another scheme.
    """
    if as_url(text) is None and _OTHER.match(text):
        scheme = text.partition(":")[0]
        raise UsageError(f"{scheme}:// is not read", f"name one of {', '.join(f'{known}://' for known in NEEDS)}")


def refuse_url(option: str, path: object) -> None:
    """See that a path on this machine is none; pathlib has made one slash of two.

    Raises:
        UsageError: it is a URL.
    """
    scheme = str(path).partition(":/")[0]
    if scheme.lower() in NEEDS and ":/" in str(path):
        raise UsageError(f"{option} is on this machine, and {scheme}:// is not", "name a path here")


def _next_to(listed: Url, line: str) -> Url:
    folder, _, _ = listed.whole.partition("?")[0].rpartition("/")
    authority = "/".join(folder.split("/", 3)[:3])
    url = as_url(f"{authority}{line}" if line.startswith("/") else f"{folder}/{line}")
    assert url, "it begins as a URL does"
    return url


def _host_and_port(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and not name.endswith(":"):
        return name.strip("[]"), int(port)
    return host.strip("[]"), 0


def _without_secrets(rest: str) -> str:
    """Path and query of a web address."""
    path, question, query = rest.partition("?")
    kept = "&".join(each for each in query.split("&") if each and not _SECRET.match(each.partition("=")[0]))
    return path + (f"?{kept}" if question and kept else "")


def _secrets(whole: str) -> Iterator[str]:
    """The longest first, so that none is left where one holds another."""
    user = whole.split("/", 3)[2].rpartition("@")[0]
    password = user.partition(":")[2]
    found = {user, password, unquote(password)} if password else set()
    parameters = (each.partition("=") for each in whole.partition("?")[2].split("&"))
    found.update(value for name, _, value in parameters if value and _SECRET.match(name))
    yield from sorted(found, key=len, reverse=True)
