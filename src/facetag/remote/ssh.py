"""Photos and outputs on machines that one reaches by SSH, through SFTP.

A name there is bytes, and need not be UTF-8. fsspec takes text alone, so paramiko is asked without it.
"""

import errno
import os
import posixpath
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import RLock, Timer
from types import SimpleNamespace
from typing import Any, BinaryIO

from facetag.remote.store import Entry, Refused, Result, Store
from facetag.remote.url import Login, Stamp, Url

_KNOWN = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_BLOCK = 8 << 20  #: bytes
_PATIENCE = 15  #: seconds that a host has to accept a connection
_SILENCE = 60  #: seconds between two pieces of an answer
_AHEAD = 50  #: requests for pieces of a listing that are on their way together
_LINKS = 40  #: from one to the next, as on Linux
_NO_NAMES = (b"", b".", b"..")


class SshStore(Store):
    """One host and user. Keys are those of the user's agent and ~/.ssh, or else the password of the URL."""

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self._turn = RLock()

    def asked(self, url: Url, work: Callable[[], Result]) -> Result:
        """One thread after the other: paramiko loses answers that another thread reads."""
        with self._turn:
            try:
                return super().asked(url, work)
            except TimeoutError as error:  # paramiko's has no words
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from error

    def connect(self) -> Any:
        """The client of SSH, and that of SFTP. A host that accepts and then is silent holds nobody up."""
        import paramiko

        login = self.login
        options: dict[str, Any] = {"username": login.user, "password": login.password, "port": login.port}
        given = {name: value for name, value in options.items() if value}
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_policy())
        client.connect(login.host, timeout=_PATIENCE, channel_timeout=_SILENCE, **given)
        client.get_transport().set_keepalive(_PATIENCE)
        too_late = Timer(_SILENCE, client.close)  # paramiko itself waits for ever until SFTP has begun
        too_late.start()
        try:
            ftp = client.open_sftp()
        finally:
            too_late.cancel()
        ftp.get_channel().settimeout(_SILENCE)
        return SimpleNamespace(client=client, ftp=ftp)

    def entries(self, folder: Url) -> Iterator[Entry]:
        """What a folder holds, in the order of the names' bytes. A link to a file is that file. One to a folder is not
        followed: where links lead in circles, nobody here would know.

        Raises:
            OSError: as `stamp`.
        """
        path = _path(folder)
        listed = self.asked(folder, lambda: self._listed(path))
        for name, kind, stamp in sorted(listed, key=lambda each: each[0]):
            if kind != stat.S_IFLNK:
                yield _entry(name, kind, stamp)
            else:
                kind, behind = self._resolved(folder, posixpath.join(path, name))
                yield _entry(name, stat.S_IFLNK if kind == stat.S_IFDIR else kind, behind)

    def read_end(self, url: Url, size: int, most: int) -> bytes:
        """The last bytes of a file of this size, not more than `most`.

        Raises:
            OSError: as `stamp`.
        """
        return self.asked(url, lambda: self._part(url, max(size - most, 0), size))

    def replace(self, url: Url, stream: BinaryIO, before: Stamp | None) -> None:
        """Under a hidden name first, then renamed. A link stays, and what it leads to is replaced."""
        self._refuse_changed(url, before)
        target = self.asked(url, lambda: self._target(_path(url)))
        temporary = posixpath.join(posixpath.dirname(target), f".facetag.{secrets.token_hex(8)}.tmp".encode())
        try:
            self.asked(url, lambda: self._put(stream, temporary, target))
            self._refuse_changed(url, before)
            self.asked(url, lambda: self.files.ftp.posix_rename(temporary, target))
        except BaseException:
            with suppress(Exception), self._turn:  # the first error is the one to tell
                self.files.ftp.remove(temporary)
            raise

    def make_folder(self, folder: Url) -> None:
        """With those above it."""
        self.asked(folder, lambda: self._make(_path(folder).rstrip(b"/") or b"/"))

    def remove(self, url: Url) -> None:
        """Also twice."""
        with suppress(FileNotFoundError):
            self.asked(url, lambda: self.files.ftp.remove(_path(url)))

    def _stamp(self, url: Url) -> Stamp:
        kind, stamp = _kind_and_stamp(self.files.ftp.stat(_path(url)))
        if kind == stat.S_IFDIR:
            raise FileNotFoundError(f"{url} is a folder, whose URL ends in a slash")
        if kind != stat.S_IFREG:
            raise Refused("not a regular file")
        return stamp

    def _read(self, url: Url, most: int) -> bytes:
        """The size is asked before, where no listing said it: to open a FIFO would wait for who writes into it."""
        size = (url.stamp or self._stamp(url)).size
        with self._opened(_path(url)) as stream:
            stream.prefetch(max(min(size, most), 0))
            return bytes(stream.read(most))

    def _blocks(self, url: Url, most: int) -> Iterator[bytes]:
        """The requests for one block are on their way together."""
        self._stamp(url)
        with self._opened(_path(url)) as stream:
            size = min(stream.stat().st_size, most)
            for start in range(0, size, _BLOCK):
                yield from stream.readv([(start, min(_BLOCK, size - start))])

    def _part(self, url: Url, start: int, end: int) -> bytes:
        with self._opened(_path(url)) as stream:
            stream.seek(start)
            return bytes(stream.read(end - start))

    @contextmanager
    def _opened(self, path: bytes, mode: str = "rb") -> Iterator[Any]:
        """What fails is left to the collector, whose close waits for no answer: a silent server would not answer it."""
        stream = self.files.ftp.open(path, mode)
        yield stream
        stream.close()

    def _listed(self, path: bytes) -> list[tuple[bytes, int, Stamp]]:
        """Names, kinds and stamps, of links their own. This is paramiko's `listdir_iter`, but for names that are bytes.
        It closes the folder last, so that a connection that broke is no end of the listing."""
        from paramiko.sftp import CMD_CLOSE, CMD_OPENDIR, CMD_READDIR
        from paramiko.sftp_attr import SFTPAttributes

        ftp = self.files.ftp
        folder = ftp._request(CMD_OPENDIR, path)[1].get_binary()
        found = []
        with suppress(EOFError):
            while True:
                numbers = [ftp._async_request(type(None), CMD_READDIR, folder) for _ in range(_AHEAD)]
                for number in numbers:
                    page = ftp._read_response(number)[1]
                    for _ in range(page.get_int()):
                        name, _ = page.get_binary(), page.get_binary()
                        kind, stamp = _kind_and_stamp(SFTPAttributes._from_msg(page))
                        if name not in _NO_NAMES and b"/" not in name:
                            found.append((name, kind, stamp))
        ftp._request(CMD_CLOSE, folder)
        return found

    def _resolved(self, url: Url, path: bytes) -> tuple[int, Stamp | None]:
        """What a link leads to; where nobody can say, a file whose row will tell why."""
        try:
            return self.asked(url, lambda: _kind_and_stamp(self.files.ftp.stat(path)))
        except OSError:
            return stat.S_IFREG, None

    def _target(self, path: bytes) -> bytes:
        """Where links lead, also where nothing lies yet."""
        from paramiko.util import b

        with suppress(FileNotFoundError):
            for _ in range(_LINKS):
                if _kind_and_stamp(self.files.ftp.lstat(path))[0] != stat.S_IFLNK:
                    break
                path = posixpath.join(posixpath.dirname(path), b(self.files.ftp.readlink(path)))
        return path

    def _put(self, stream: BinaryIO, temporary: bytes, target: bytes) -> None:
        """What replaces a file may be read by those alone who might read that; a new one is as its server makes it."""
        ftp, before = self.files.ftp, None
        with suppress(FileNotFoundError):
            before = ftp.stat(target)
        stream.seek(0)
        with self._opened(temporary, "wb") as there:
            if before:
                _set_mode(ftp, temporary, 0o600)
            there.set_pipelined(True)
            shutil.copyfileobj(stream, there)
        if ftp.stat(temporary).st_size != stream.tell():
            raise OSError("it did not arrive whole")
        if before:
            _as_before(ftp, temporary, before)

    def _make(self, path: bytes) -> None:
        try:
            self.files.ftp.stat(path)
        except FileNotFoundError:
            self._make(posixpath.dirname(path))
            self.files.ftp.mkdir(path)

    def _forget(self) -> None:
        """A connection that was lost does not come back by itself."""
        with self._lock:
            files, self._files = self._files, None
        if files is not None:
            with suppress(OSError, EOFError):
                files.client.close()


def _path(url: Url) -> bytes:
    return os.fsencode(f"/{url.path}")


def _kind_and_stamp(attributes: Any) -> tuple[int, Stamp]:
    """The kind (`stat.S_IFMT`) and the stamp in an answer. What some servers leave out is taken for a file's."""
    size, changed = attributes.st_size, attributes.st_mtime
    tag = "" if changed is None else str(datetime.fromtimestamp(changed, UTC))
    return stat.S_IFMT(attributes.st_mode or 0) or stat.S_IFREG, Stamp(-1 if size is None else size, tag)


def _entry(name: bytes, kind: int, stamp: Stamp | None) -> Entry:
    is_folder, is_file = kind == stat.S_IFDIR, kind == stat.S_IFREG
    return Entry(os.fsdecode(name), is_folder, stamp if is_file else None, special=not (is_folder or is_file))


def _as_before(ftp: Any, path: bytes, before: Any) -> None:
    """A new file has the mode and, where that is allowed, the owner of the one that it replaces, as on this machine
    (`formats.destination`)."""
    now = ftp.stat(path)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            ftp.chown(path, before.st_uid, before.st_gid)
        except OSError:  # only the superuser gives files away; to a group of their own everybody may
            with suppress(OSError):
                ftp.chown(path, now.st_uid, before.st_gid)
    mode = stat.S_IMODE(before.st_mode or 0) & 0o777
    if ftp.stat(path).st_gid != before.st_gid:  # another group may do what everybody may
        mode = mode & ~0o070 | (mode & 0o007) << 3
    if before.st_mode is not None:
        _set_mode(ftp, path, mode)


def _set_mode(ftp: Any, path: bytes, mode: int) -> None:
    with suppress(OSError):  # some servers know no modes
        ftp.chmod(path, mode)


def _policy() -> Any:
    """Hosts are those that the user knows: paramiko would greet anybody, and asks no file of known hosts by itself."""
    import paramiko

    class Known(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            for file in map(os.path.expanduser, _KNOWN):
                if os.path.isfile(file) and paramiko.HostKeys(file).check(hostname, key):
                    return
            raise Refused(f"the key of {hostname} is in no known_hosts; connect once with ssh")

    return Known()
