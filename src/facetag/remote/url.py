"""URLs of photos, lists and outputs. What passes through a run is text that anybody may read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from urllib.parse import unquote, unquote_plus

from facetag.errors import UsageError

#: Scheme -> what it needs beside fsspec, and the extra that brings that.
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
_IN_TEXT = re.compile(r"([a-z][a-z0-9+.-]{1,20})://([^\s\"<>/?#]*)([^\s\"<>]*)", re.IGNORECASE)
_IN_PATH = re.compile(r"(?<=;)[^/]*")  #: parameters of a name in a path
_WHOLE_NAMES = frozenset(NEEDS) - {"http", "https"}  #: schemes where `?`, `#` and `;` belong to a name
#: Name of a signature -> the other names that a new one changes: those of Amazon and its like, and those of Azure.
_SIGNED = {
    r".*signature": r"x-(amz|goog|oss|obs)-.*|(aws|oss)?accesskeyid|googleaccessid|expires|policy|key-pair-id|keyname"
    r"|hash-algorithm|q-.*|oauth_.*",
    r"sig": r"s[eiprstv]|ses|sip|spr|srt|sdd|scid|s(a|u|du)oid|sk(oid|(du)?tid|[estv])",
}
_SIGNATURES = [
    (re.compile(name, re.IGNORECASE), re.compile(f"{name}|{others}", re.IGNORECASE)) for name, others in _SIGNED.items()
]
#: Other names of what may let in whoever has it.
_SECRET = re.compile(
    r".*(token|secret|credential|signature.|passw|passphrase|jwt|bearer|session|sessid|auth(?!or)|authori[sz]).*"
    r"|.*(key|pass|pwd)([_-]?id)?|(.*[_-])?(pw|sid|otp|hmac|sign|ticket)|((access|pass|pin)[_-]?)?code",
    re.IGNORECASE | re.DOTALL,
)
_DIGEST = 16  #: hexadecimal digits that tell secrets apart: two of a million photos are the same with 3e-8
_MASKED = re.compile(rf"\*\*\*[0-9a-f]{{{_DIGEST}}}")


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
    """A URL without logins and signatures, and with digests of other secrets: this is what rows, messages and the
    journal say.

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
        """What a line of the list at this URL means: a URL, or else a path beside the list. Never a file here.

        Raises:
            UsageError: as `as_url`.
        """
        return as_url(line) or _next_to(self, line)

    def without_secrets(self, text: str) -> str:
        """A text of others, such as an error's, without what only `whole` has. URLs in it are as they may be shown.

        >>> as_url("ssh://me:pass@host/a").without_secrets("no way from ssh://me:pass@host to ftp://you:pass@other/?sig=x")
        'no way from ssh://host to ftp://other/'
        """
        text = _IN_TEXT.sub(_quoted, text)
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

    Raises:
        UsageError: its password has what ends a host.

    >>> as_url("https://me:pass@host/a.jpg?id=1&token=x&sig=y")
    'https://host/a.jpg?id=1&token=***2d711642b726b044'
    >>> as_url("photos/a.jpg") is None
    True
    """
    if isinstance(text, Url):
        return text
    found = _URL.fullmatch(text)
    if found is None:
        return None
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    if _cuts_password(authority, rest):
        raise UsageError(f"a URL of {scheme}:// has / ? or # in its password", "write %2F, %3F or %23")
    return Url(_shown(scheme, authority, rest), f"{scheme}://{authority}{rest}")


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


def _cuts_password(authority: str, rest: str) -> bool:
    """Whether what stands before the first slash is no host and port, but a login that goes on behind it."""
    _, colon, port = authority.rpartition(":")
    is_port = port.isdecimal() or port.endswith("]")
    return bool(colon) and not is_port and "@" not in authority and "@" in rest


def _shown(scheme: str, authority: str, rest: str) -> str:
    """The parts of a URL, put together without secrets. On the web a user's name may be a token."""
    user, _, host = authority.rpartition("@")
    if scheme in _WHOLE_NAMES:
        return f"{scheme}://{host if ':' in user else authority}{rest}"
    path, _, query = rest.partition("#")[0].partition("?")
    path, query = _IN_PATH.sub(lambda found: _hidden(found[0]), path), _hidden(query)
    return f"{scheme}://{host}{path}" + (f"?{query}" if query else "")


def _quoted(found: re.Match[str]) -> str:
    """A URL in a text."""
    scheme, authority, rest = found.groups()
    return f"{scheme}://***" if _cuts_password(authority, rest) else _shown(scheme.lower(), authority, rest)


def _hidden(query: str) -> str:
    """Parameters without signatures and what comes with these, and with other secrets as digests."""
    given = list(_parameters(query))
    dropped = [others for name, others in _SIGNATURES if any(name.fullmatch(each) for _, each, _ in given)]
    kept = (each for each in given if not any(others.fullmatch(each[1]) for others in dropped))
    return "".join(mark + (_masked(text) if _SECRET.fullmatch(name) else text) for mark, name, text in kept)[1:]


def _masked(parameter: str) -> str:
    name, _, value = parameter.partition("=")
    if not value or _MASKED.fullmatch(value):
        return parameter
    return f"{name}=***{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST]}"


def _parameters(query: str) -> Iterator[tuple[str, str, str]]:
    """The mark before each parameter, its name, and all of it as it is written. Some servers split at semicolons and
    others do not, so a secret goes on behind one."""
    for part in query.split("&"):
        pieces = part.split(";")
        for number, text in enumerate(pieces):
            mark, name = ";" if number else "&", unquote_plus(text.partition("=")[0])
            if _SECRET.fullmatch(name):
                yield mark, name, ";".join(pieces[number:])
                break
            if text:
                yield mark, name, text


def _secrets(whole: str) -> Iterator[str]:
    """The longest first, so that none is left where one holds another."""
    parts = _URL.fullmatch(whole)
    assert parts, "`whole` begins as a URL does"
    scheme, authority, rest = parts.groups()
    user = authority.rpartition("@")[0]
    password = user.partition(":")[2]
    found = {user, password} if password or scheme not in _WHOLE_NAMES else set[str]()
    for _, name, text in _parameters("&".join(re.split("[?#]", rest)[1:])):
        if _SECRET.fullmatch(name) or any(signature.fullmatch(name) for signature, _ in _SIGNATURES):
            found.add(text.partition("=")[2])
    yield from sorted(filter(None, found | set(map(unquote, found))), key=len, reverse=True)
