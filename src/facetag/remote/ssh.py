"""Photos and outputs on machines that one reaches by SSH, through SFTP."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import RLock
from typing import Any, BinaryIO

from facetag.remote.store import Refused, Result, Store, new_files
from facetag.remote.url import Login, Stamp, Url

_KNOWN = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_BLOCK = 8 << 20  #: bytes
_PATIENCE = 15  #: seconds that a host has to answer


class SshStore(Store):
    """One host and user. Keys are those of the user's agent and ~/.ssh, or else the password of the URL."""

    def __init__(self, login: Login) -> None:
        super().__init__(login)
        self._turn = RLock()

    def asked(self, url: Url, work: Callable[[], Result]) -> Result:
        """One thread after the other: paramiko loses answers that another thread reads."""
        with self._turn:
            return super().asked(url, work)

    def connect(self) -> Any:
        login = self.login
        options: dict[str, Any] = {"username": login.user, "password": login.password, "port": login.port}
        given = {name: value for name, value in options.items() if value}
        return new_files("sftp", host=login.host, host_key_policy=_policy(), timeout=_PATIENCE, **given)

    def name(self, url: Url) -> str:
        return f"/{url.path}"

    def replace(self, url: Url, stream: BinaryIO, before: Stamp | None) -> None:
        """Under a hidden name first, then renamed."""
        self._refuse_changed(url, before)
        folder, _, name = self.name(url).rpartition("/")
        temporary = f"{folder}/.facetag.{secrets.token_hex(8)}.tmp"
        try:
            self.asked(url, lambda: self._put(stream, temporary))
            self._refuse_changed(url, before)
            self.asked(url, lambda: self.files.mv(temporary, f"{folder}/{name}"))
        except BaseException:
            with suppress(OSError):
                self.files.ftp.remove(temporary)
            raise

    def _put(self, stream: BinaryIO, path: str) -> None:
        stream.seek(0)
        self.files.ftp.putfo(stream, path)

    def _read(self, url: Url, most: int) -> bytes:
        with self.files.ftp.open(self.name(url), "rb") as stream:
            stream.prefetch(min(stream.stat().st_size, most))
            return bytes(stream.read(most))

    def _blocks(self, url: Url, most: int) -> Iterator[bytes]:
        """The requests for one block are on their way together."""
        with self.files.ftp.open(self.name(url), "rb") as stream:
            size = min(stream.stat().st_size, most)
            for start in range(0, size, _BLOCK):
                yield from stream.readv([(start, min(_BLOCK, size - start))])

    def _forget(self) -> None:
        """A connection that was lost does not come back by itself."""
        with self._lock:
            files, self._files = self._files, None
        if files is not None:
            with suppress(OSError, EOFError):
                files.client.close()


def _policy() -> Any:
    """Hosts are those that the user knows: paramiko would greet anybody, and fsspec asks no file of known hosts."""
    import paramiko

    class Known(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            for file in map(os.path.expanduser, _KNOWN):
                if os.path.isfile(file) and paramiko.HostKeys(file).check(hostname, key):
                    return
            raise Refused(f"the key of {hostname} is in no known_hosts; connect once with ssh")

    return Known()
