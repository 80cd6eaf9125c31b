"""One run at a time for an output; the system lifts the lock of a process that died."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from facetag.errors import OutputLocked, writing

_POLL = 0.05  #: seconds between tries

logging.getLogger("filelock").setLevel(logging.WARNING)


@contextmanager
def locked(path: str, out: str, wait: float = 0.0, stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock file `path` of the output that errors call `out`; it is there as long as somebody holds it.

    Args:
        wait: seconds to wait for another run.
        stop: asked meanwhile whether to give up waiting.

    Raises:
        OutputLocked: another run holds it still.
        FacetagError: the lock cannot be written.
    """
    lock = FileLock(path, is_singleton=False)
    deadline = time.monotonic() + wait
    with writing(out):
        os.stat(os.path.dirname(path))  # or else filelock makes the folder, and a slip of the pen is a place for output
        while not _acquire(lock):
            if time.monotonic() >= deadline or stop():
                raise OutputLocked(f"another run writes {out}", "wait until it ends, or use --lock-wait SECONDS")
            time.sleep(_POLL)
    try:
        yield
    finally:
        # while it is held: whoever waits finds that the file that he has open is gone, and opens the new one
        with suppress(OSError):
            Path(path).unlink()
        lock.release()


def _acquire(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True
