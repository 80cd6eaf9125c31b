"""How much memory images take, from the moment that they are decoded until nobody holds them any more.

What one takes is known by its header. Small ones never wait for themselves; a large one waits for those before it in
line to be let go of, so that vast ones are decoded and looked at one at a time, however many threads decode.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

_SMALL = 16  #: of all memory, a part of this size is not worth waiting for
_STUCK = 60.0  #: seconds after which a large one goes on, though those before it are still held by somebody


class ImageMemory:
    """Threads share it; whoever takes images out of the line has to let go of them."""

    def __init__(self, most: int) -> None:
        """`most`: bytes that may be taken, but for one image that alone takes more."""
        self._most = most
        self._taken: dict[int, int] = {}
        self._waiting: set[int] = set()
        self._passed: set[int] = set()
        self._next = 0  #: all before it have claimed what they need
        self._closed = False
        self._changed = Condition()

    def claim(self, number: int, taken: int) -> None:
        """Wait until image `number` of the line may take so many bytes."""
        with self._changed:
            if taken * _SMALL <= self._most:
                self._changed.wait_for(lambda: self._closed or not any(other < number for other in self._waiting))
            else:
                self._waiting.add(number)
                self._changed.wait_for(lambda: self._may_take(number, taken), _STUCK)
                self._waiting.discard(number)
            self._taken[number] = taken
            self._pass(number)

    def _may_take(self, number: int, taken: int) -> bool:
        """All before it have claimed theirs, and there is room, or nothing of theirs is left."""
        if self._closed:
            return True
        if self._next < number:
            return False
        others = sum(held for other, held in self._taken.items() if other != number)
        return others + taken <= self._most or not any(other < number for other in self._taken)

    @contextmanager
    def passing(self, number: int) -> Iterator[None]:
        """While image `number` is read; afterwards it holds nothing, unless it is kept."""
        try:
            yield
        except BaseException:
            self.release(number)
            raise
        finally:
            with self._changed:
                self._pass(number)

    def keep(self, number: int, holder: object, taken: int | None) -> None:
        """As long as `holder` lives image `number` takes so many bytes; None = what it claimed."""
        with self._changed:
            if taken is not None:
                self._taken[number] = taken
            self._changed.notify_all()
        weakref.finalize(holder, self.release, number).atexit = False

    def release(self, number: int) -> None:
        """Image `number` takes nothing any more."""
        with self._changed:
            self._taken.pop(number, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pass(self, number: int) -> None:
        if number < self._next:
            return
        self._passed.add(number)
        while self._next in self._passed:
            self._passed.discard(self._next)
            self._next += 1
        self._changed.notify_all()
