"""An SSH server of one thread a connection that gives out a folder by SFTP to a user with a password."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

USER, PASSWORD = "me", "pa55word"


@dataclass
class Sftp:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        key: the host's, as a line of known_hosts has it.
        opened: names of the files that were opened to be read.
        connections: open ones.
        changed: names of files whose attributes were changed, with the modes and the sizes at that time.
        silent: whether requests get no answer.
    """

    port: int
    key: str
    opened: list[str] = field(default_factory=list)
    connections: list[paramiko.Transport] = field(default_factory=list)
    changed: list[tuple[str, int | None, int]] = field(default_factory=list)
    silent: bool = False

    def drop(self) -> None:
        """Break every connection."""
        for connection in self.connections:
            connection.sock.close()
        self.connections.clear()


@contextmanager
def sftp_server(root: Path) -> Iterator[Sftp]:
    """Gives out `root` as /."""
    key = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Sftp(port, f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
    threading.Thread(target=_serve, args=(listening, key, server, root), daemon=True).start()
    try:
        yield server
    finally:
        listening.close()
        for connection in server.connections:
            connection.close()


def _serve(listening: socket.socket, key: paramiko.PKey, server: Sftp, root: Path) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        transport = paramiko.Transport(client)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", _answers(server), _files(root, server))
        server.connections.append(transport)
        try:
            transport.start_server(server=_Login())
        except (EOFError, OSError, paramiko.SSHException):
            transport.close()


class _Login(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


def _answers(server: Sftp) -> type[paramiko.SFTPServer]:
    class Answers(paramiko.SFTPServer):
        def _process(self, kind: int, number: int, message: paramiko.Message) -> None:
            """Paramiko's own would take UTF-8 alone."""
            message.get_text = lambda: os.fsdecode(message.get_binary())
            if not server.silent:
                super()._process(kind, number, message)

    return Answers


def _files(root: Path, server: Sftp) -> type[paramiko.SFTPServerInterface]:
    def here(path: str) -> str:
        return os.path.join(root, path.lstrip("/"))

    def tried(work: Any) -> Any:
        try:
            return work()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def done(work: Any) -> int:
        failed = tried(work)
        return failed if isinstance(failed, int) else paramiko.SFTP_OK

    class Files(paramiko.SFTPServerInterface):
        def list_folder(self, path: str) -> Any:
            def entries() -> list[paramiko.SFTPAttributes]:
                return [
                    paramiko.SFTPAttributes.from_stat(os.lstat(os.path.join(here(path), name)), os.fsencode(name))
                    for name in os.listdir(here(path))
                ]

            return tried(entries)

        def stat(self, path: str) -> Any:
            return tried(lambda: paramiko.SFTPAttributes.from_stat(os.stat(here(path))))

        def lstat(self, path: str) -> Any:
            return tried(lambda: paramiko.SFTPAttributes.from_stat(os.lstat(here(path))))

        def readlink(self, path: str) -> Any:
            return tried(lambda: os.fsencode(os.readlink(here(path))))

        def chattr(self, path: str, attr: Any) -> int:
            server.changed.append((os.path.basename(path), attr.st_mode, os.path.getsize(here(path))))
            return done(lambda: paramiko.SFTPServer.set_file_attr(here(path), attr))

        def open(self, path: str, flags: int, attr: Any) -> Any:
            def opened() -> paramiko.SFTPHandle:
                mode = "wb" if flags & os.O_WRONLY else "rb"
                if mode == "rb":
                    server.opened.append(path)
                stream = open(here(path), mode)  # noqa: SIM115 - paramiko closes it
                handle = paramiko.SFTPHandle(flags)
                handle.readfile = handle.writefile = stream
                handle.stat = lambda: paramiko.SFTPAttributes.from_stat(os.fstat(stream.fileno()))
                return handle

            return tried(opened)

        def posix_rename(self, oldpath: str, newpath: str) -> int:
            return done(lambda: os.replace(here(oldpath), here(newpath)))

        def remove(self, path: str) -> int:
            return done(lambda: os.unlink(here(path)))

        def mkdir(self, path: str, attr: Any) -> int:
            return done(lambda: os.mkdir(here(path)))

    return Files
