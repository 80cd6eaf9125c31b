"""Requests that fail for a while are made again: later each time, not for ever, and not before the server wants them.

File systems have retries of their own, which know no other request than theirs. They are switched off
(`remote.connection`), so that a failing server is asked TRIES times and not the product of three numbers.
"""

import random
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeVar

Result = TypeVar("Result")

TRIES = 6  #: of a request
FIRST, LONGEST = 0.5, 20.0  #: seconds before the second try and, doubled each time, before later ones at most
MOST = 60.0  #: seconds that a server may ask for

#: HTTP says so of what may go well another time; S3 has names for the same.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_THROTTLED = {429, 503}
_NAMES = {
    "SlowDown": 503, "Throttling": 503, "ThrottlingException": 503, "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503, "InternalError": 500, "RequestTimeout": 408, "NoSuchKey": 404, "NoSuchBucket": 404,
    "AccessDenied": 403, "PreconditionFailed": 412, "ConditionalRequestConflict": 409,
}  # fmt: skip
_LASTING = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
_LIBRARIES = ("aiohttp", "botocore", "aiobotocore", "paramiko", "fsspec")


class Pace:
    """When a server may be asked again. Threads share one: a server that throttles one of them throttles all."""

    def __init__(self) -> None:
        self._not_before = 0.0
        self._lock = Lock()

    def wait(self) -> None:
        """Until then."""
        time.sleep(max(self._not_before - time.monotonic(), 0))

    def slow_down(self, seconds: float) -> None:
        """Nobody asks for so long."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)


def patiently(work: Callable[[], Result], pace: Pace, again: Callable[[], None] = lambda: None) -> Result:
    """What `work` returns, tried up to TRIES times while what keeps it from working may pass.

    Args:
        again: called before each further try; what is broken may be made anew.

    Raises:
        Exception: that of the last try, or the first one that does not pass.
    """
    for number in range(TRIES):
        pace.wait()
        try:
            return work()
        except Exception as error:
            if number == TRIES - 1 or not may_pass(error):
                raise
            _pause(error, number, pace)
            again()
    raise AssertionError("a last try returns or raises")


def _pause(error: Exception, number: int, pace: Pace) -> None:
    delay = min(FIRST * 2**number, LONGEST) * random.uniform(0.5, 1)  # apart, so that threads do not come back at once
    wanted = retry_after(error)
    seconds = delay if wanted is None else max(delay, min(wanted, MOST))
    if wanted is not None or status_of(error) in _THROTTLED:
        pace.slow_down(seconds)
    else:
        time.sleep(seconds)


def may_pass(error: Exception) -> bool:
    """Whether the same request may go well another time."""
    status = status_of(error)
    if status is not None:
        return status in _PASSING
    if isinstance(error, _LASTING):
        return False
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError | EOFError | TimeoutError) or (
        module in _LIBRARIES and not isinstance(error, ValueError) and "Credentials" not in type(error).__name__
    )


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error is about; None where there was no answer."""
    for each in _causes(error):
        answer = getattr(each, "response", None)
        if isinstance(answer, dict):
            named = _NAMES.get(str(answer.get("Error", {}).get("Code")))
            return named or answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        status = getattr(each, "status", None)
        if isinstance(status, int):
            return status
    return None


def retry_after(error: BaseException) -> float | None:
    """Seconds that the server asks for; None where it does not."""
    for each in _causes(error):
        answer = getattr(each, "response", None)
        headers: Any = answer.get("ResponseMetadata", {}).get("HTTPHeaders") if isinstance(answer, dict) else None
        said = (headers or getattr(each, "headers", None) or {}).get("retry-after")
        if said:
            return _seconds(str(said))
    return None


def _seconds(said: str) -> float | None:
    """A number, or until a date."""
    try:
        return (
            max(float(said), 0) if said.strip().isdecimal() else parsedate_to_datetime(said).timestamp() - time.time()
        )
    except (ValueError, TypeError, OverflowError, OSError):  # OverflowError: a date that no clock shows
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(5):  # of a chain that somebody closed to a ring no more are wanted either
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
