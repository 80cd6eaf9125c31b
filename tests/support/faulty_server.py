"""A server in front of another one: it passes requests on, but for those that a test has it fail."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Faults:
    """What goes wrong.

    Attributes:
        address: of the server.
        choose: from a method and a path to a fault: "slow down", "slow down 1" (seconds in Retry-After), "drop" (the
            connection, before anything is passed on), "lose" (the answer, when all was done), "cut" (the answer, in the
            middle); None passes on.
        seen: method and path of every request, in order.
    """

    address: str = ""
    choose: Callable[[str, str], str | None] = lambda method, path: None
    seen: list[tuple[str, str]] = field(default_factory=list)

    def first(self, count: int, fault: str, method: str, part: str) -> None:
        """So many requests of this method whose path has this part fail."""
        left = [count]

        def choose(asked: str, path: str) -> str | None:
            if asked != method or part not in path or not left[0]:
                return None
            left[0] -= 1
            return fault

        self.choose = choose


@contextmanager
def faulty_server(port: int) -> Iterator[Faults]:
    """In front of the server at this port of 127.0.0.1."""
    faults = Faults()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(faults, port))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    faults.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(faults: Faults, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *said: Any) -> None:
            """Nothing."""

        def pass_on(self) -> None:
            body = self._body()
            faults.seen.append((self.command, self.path))
            fault = faults.choose(self.command, self.path) or ""
            if fault.startswith("slow down"):
                self._slow_down(fault.removeprefix("slow down").strip())
            elif fault == "drop":
                self._hang_up()
            else:
                self._answer(fault, body)

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _slow_down(self, seconds: str) -> None:
            self.send_response(503)
            if seconds:
                self.send_header("Retry-After", seconds)
            self.send_header("Content-Length", str(len(SLOW_DOWN)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(SLOW_DOWN)

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(2)

        def _answer(self, fault: str, body: bytes) -> None:
            behind = http.client.HTTPConnection("127.0.0.1", port)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            behind.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = behind.getresponse()
            data = answer.read()
            behind.close()
            if fault == "lose":
                self._hang_up()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
            if fault == "cut":
                self._hang_up()

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.pass_on)
    return Handler
