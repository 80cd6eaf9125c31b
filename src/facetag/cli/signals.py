"""Ctrl-C, SIGTERM and SIGHUP: the first lets work that can be continued end well, the second ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from facetag.errors import ExitCode

#: Signals that end a command, with its exit codes. SIGHUP comes when a terminal closes.
ENDINGS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    **({signal.SIGHUP: ExitCode.HUNG_UP} if hasattr(signal, "SIGHUP") else {}),
}


class Signals:
    """What was received. While a loop takes steps, the first is kept for it, so that it ends after the step;
    any other ends the command at once, with that signal's exit code, and a further one without any tidying.

    Attributes:
        received: their numbers in order.
        ended: one was to end the command at once.
    """

    def __init__(self, notify: Callable[[], None] = lambda: None) -> None:
        """`notify` is called when a signal is kept for the loop."""
        self.received: list[int] = []
        self.ended = False
        self._notify = notify
        self._stepping = False

    def install(self) -> None:
        """Receive the signals from now on."""
        for number in _heard():
            signal.signal(number, self._receive)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """The signals are received inside, and go where they went before afterwards."""
        before = {number: signal.getsignal(number) for number in _heard()}
        self.install()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """A loop takes steps here, and asks after each whether a signal came."""
        around, self._stepping = self._stepping, True
        try:
            yield
        finally:
            self._stepping = around

    @property
    def exit_code(self) -> ExitCode:
        """That of the last signal received but Ctrl-C, if there was another; there must be one."""
        assert self.received
        others = [number for number in self.received if number != signal.SIGINT]
        return ENDINGS[signal.Signals((others or self.received)[-1])]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
        if self._stepping and len(self.received) == 1:
            self._notify()
            return
        self.ended = True
        signal.signal(number, signal.SIG_DFL)
        if number != signal.SIGINT:
            raise SystemExit(int(ENDINGS[signal.Signals(number)]))
        raise KeyboardInterrupt


def _heard() -> list[signal.Signals]:
    """ENDINGS, but for a hang-up that is to be ignored: nohup says so."""
    return [each for each in ENDINGS if each.name != "SIGHUP" or signal.getsignal(each) != signal.SIG_IGN]
