"""To a Ray cluster, or to one that is started on this machine alone."""

import atexit
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from facetag.errors import FacetagError, UsageError

_PATIENCE = 5.0  #: seconds that an address has to answer
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a FutureWarning on standard error
}
_SETTINGS = 4  #: type of the frame with which both sides begin (RFC 9113, section 3.4)
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0))
_START = "start one with `ray start --head`, or leave out --ray-address"


class Connection:
    """An open connection; `close` it. What was started for it ends with it, or with this process."""

    def __init__(self, address: str | None = None) -> None:
        """Connect to the cluster at HOST:PORT, of which this machine is to be part, or start one here.

        Raises:
            UsageError: Ray is not installed, or the address is none.
            FacetagError: nobody answers there, or not as this version of Ray does.
        """
        refuse_without_ray()
        self._closing = ExitStack()
        atexit.register(self.close)
        try:
            os.environ.update(_QUIET)
            self.ray = self._at(address) if address else self._here()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; a second time does nothing."""
        self._closing.close()
        atexit.unregister(self.close)

    def _at(self, address: str) -> ModuleType:
        host, port = address_of(address)
        try:
            with socket.create_connection((host, port), _PATIENCE) as connection:
                if os.environ.get("RAY_USE_TLS", "0") != "1" and not _speaks_http2(connection):
                    raise FacetagError(f"what answers at {address} is no Ray cluster", _START)
        except OSError as error:
            raise FacetagError(f"no Ray cluster answers at {address} ({error.strerror or error})", _START) from error
        with _one_line(address):
            return self._started(address=address)

    def _here(self) -> ModuleType:
        """A cluster whose processes listen on the loopback device alone and answer to nobody without its token."""
        folder = tempfile.mkdtemp(prefix="facetag-")
        self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
        # Ray's own switch, for systems whose firewall asks: the address of its node is 127.0.0.1
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=_token())
        with _one_line("this machine"):
            return self._started(address="local", include_dashboard=False, _temp_dir=folder)

    def _started(self, **how: Any) -> ModuleType:
        with _signals_as_before():
            import ray

            self._closing.callback(_shut_down, ray)
            logging.getLogger("ray").setLevel(logging.CRITICAL)
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **how)
        return ray


@cache
def _token() -> str:
    """That of every Ray of this process: Ray reads it once, and --watch starts one after the other."""
    return secrets.token_hex(32)


def _speaks_http2(connection: socket.socket) -> bool:
    """Whether the other side greets as gRPC servers do. Ray itself would wait minutes for one that says nothing.

    Raises:
        OSError: it says nothing, or hangs up.
    """
    connection.sendall(_GREETING)
    frame = connection.recv(9)  # length, type, flags, stream
    return len(frame) > 3 and frame[3] == _SETTINGS


def address_of(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT.

    >>> address_of("head.example:6379")
    ('head.example', 6379)

    Raises:
        UsageError: it is written otherwise.
    """
    found = re.fullmatch(r"([^/@\s]+):([0-9]{1,5})", text)
    if found is None or not 0 < int(found[2]) < 65536:
        raise UsageError(f"--ray-address {text} is not HOST:PORT", "name the port that `ray start --head` says")
    return found[1].strip("[]"), int(found[2])


def refuse_without_ray() -> None:
    """See that Ray is installed, without loading it.

    Raises:
        UsageError: it is not.
    """
    if "ray" not in sys.modules and find_spec("ray") is None:
        raise UsageError("--engine ray needs Ray", "pip install 'facetag[ray]'")


def _shut_down(ray: ModuleType) -> None:
    with _signals_as_before():
        ray.shutdown()


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Ray's handler of SIGTERM leaves at once, and its end leaves none; ours let what is in hand be written."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(TypeError, ValueError):  # a handler that Python did not set; a thread that may set none
                signal.signal(number, handler)


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Turns whatever Ray raises while it starts into one line."""
    try:
        yield
    except Exception as error:  # Ray raises plain Exceptions, as when it starts slowly
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "run the command on a machine of the cluster, with its version of Ray"
        raise FacetagError(f"Ray does not start at {where}: {reason}", remedy) from error
