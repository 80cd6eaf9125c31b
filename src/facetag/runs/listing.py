"""The inputs of a run, listed ahead of their use, so that their number is known long before the last is answered."""

from collections.abc import Callable, Iterable, Iterator
from queue import Full, Queue
from threading import Event, Thread

AHEAD = 1 << 16  #: paths that may wait, so that memory stays flat: some 10 MB
_POLL = 0.2  #: seconds after which the lister looks whether anybody still wants its paths

_End = BaseException | None


class Listing:
    """The same paths in the same order; a thread of its own asks for them. Iterate once.

    Attributes:
        listed: so far.
        is_whole: whether these are all.
    """

    def __init__(
        self, paths: Iterable[str], counts: Callable[[str], bool] = lambda path: True, ahead: int = AHEAD
    ) -> None:
        """Only paths for which `counts` says yes are counted: those of a shard."""
        self.listed = 0
        self.is_whole = False
        self._paths, self._counts = paths, counts
        self._waiting: Queue[str | tuple[_End]] = Queue(ahead)
        self._unwanted = Event()

    def __iter__(self) -> Iterator[str]:
        # a daemon, for it may wait forever for a list's next line, and the program is to end nevertheless
        Thread(target=self._list, name="list", daemon=True).start()
        try:
            while not isinstance(path := self._waiting.get(), tuple):
                yield path
        finally:
            self._unwanted.set()
        if path[0]:
            raise path[0]

    def _list(self) -> None:
        end: _End = None
        try:
            for path in self._paths:
                self.listed += self._counts(path)
                if not self._handed(path):
                    return
            self.is_whole = True
        except Exception as error:  # noqa: BLE001 - raised again by whoever asks for the next path
            end = error
        self._handed((end,))

    def _handed(self, item: str | tuple[_End]) -> bool:
        """Whether somebody takes it, or will."""
        while not self._unwanted.is_set():
            try:
                self._waiting.put(item, timeout=_POLL)
            except Full:
                continue
            return True
        return False
