r"""Paths as the output spells them: any file name in one line of UTF-8, and back.

A backslash is doubled. Every byte that is no UTF-8, or belongs to a control character or a line separator, is `\xNN`
with two lower-case hexadecimal digits. Everything else stands as it is. The same holds for every format, and whatever
the locale's encoding is: a path is bytes, and Python's str of it (os.fsdecode) only stands for them.

>>> escape("new\nline\udcff.jpg")
'new\\x0aline\\xff.jpg'
"""

import os
import re
import sys
import unicodedata

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")
_UNSAFE = ("Cc", "Cs", "Zl", "Zp")


def escape(path: str) -> str:
    """A path (os.fsdecode) as it is written; see the module."""
    path = _as_utf8(path).replace(os.sep, "/")
    if path.isprintable() and "\\" not in path:
        return path
    return "".join(map(_escaped, path))


def unescape(text: str) -> str:
    """The path that `escape` wrote; a backslash that begins no escape stands for itself."""
    return os.fsdecode(_ESCAPE.sub(_byte, text.encode("utf-8", "surrogateescape")))


def one_line(text: str) -> str:
    """A message without line breaks and with nothing that UTF-8 cannot say; not meant to be turned back."""
    return "".join(map(_printable, " ".join(text.split())))


def _as_utf8(path: str) -> str:
    """The same bytes as str of UTF-8: in another locale `os.fsdecode` has made other characters of them."""
    if sys.getfilesystemencoding() == "utf-8":
        return path
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    return _printable(character)


def _printable(character: str) -> str:
    if unicodedata.category(character) in _UNSAFE:
        return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    return character


def _byte(found: re.Match[bytes]) -> bytes:
    return b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)])
