import time

import pytest

from facetag.remote import patience
from facetag.remote.patience import TRIES, Pace, may_pass, patiently, retry_after, status_of


class Answered(Exception):
    """As botocore's: what the server said."""

    def __init__(self, code, status, headers=()):
        super().__init__(code)
        self.response = {
            "Error": {"Code": code},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": dict(headers)},
        }


@pytest.fixture
def slept(monkeypatch):
    """Seconds that were slept, without sleeping."""
    now, naps = [100.0], []

    def sleep(seconds):
        if seconds:
            naps.append(seconds)
            now[0] += seconds

    monkeypatch.setattr(patience.time, "sleep", sleep)
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: high)
    return naps


def failing(*errors):
    """Raises these, then answers."""
    left = list(errors)

    def work():
        if left:
            raise left.pop(0)
        return "answer"

    return work


def test_what_may_pass_is_tried_again_later_each_time(slept):
    errors = [OSError("reset"), TimeoutError(), EOFError(), Answered("InternalError", 500)]
    assert patiently(failing(*errors), Pace()) == "answer"
    assert slept == [0.5, 1, 2, 4]


def test_there_is_a_last_try(slept):
    with pytest.raises(OSError, match="reset"):
        patiently(failing(*[OSError("reset")] * TRIES), Pace())
    assert slept == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(), PermissionError(), Answered("NoSuchKey", 404), Answered("AccessDenied", 403), ValueError()],
)
def test_what_lasts_is_tried_once(error, slept):
    with pytest.raises(type(error)):
        patiently(failing(error), Pace())
    assert slept == []


def test_a_server_that_names_a_time_is_left_alone_so_long_by_all(slept):
    pace = Pace()
    patiently(failing(Answered("SlowDown", 503, {"retry-after": "7"})), pace)
    assert slept == [7]
    patiently(failing(Answered("SlowDown", 503, {"retry-after": "9999"})), pace)
    assert slept == [7, 60]
    pace.slow_down(3)
    patiently(failing(), pace)
    assert slept == [7, 60, 3]


def test_the_status_is_found_behind_other_errors():
    try:
        try:
            raise Answered("SlowDown", 503)
        except Answered as error:
            raise FileNotFoundError("as fsspec says") from error
    except FileNotFoundError as error:
        assert status_of(error) == 503 and may_pass(error)


def test_a_date_is_a_time_too():
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 25 < retry_after(Answered("SlowDown", 503, {"retry-after": date})) <= 31
    assert retry_after(Answered("SlowDown", 503, {"retry-after": "soon"})) is None


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999 00:00:00 GMT",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 01 Jan 2030 00:00:00 +99999999",
    ],
)
def test_a_date_that_no_clock_shows_is_none(date, slept):
    assert patiently(failing(Answered("SlowDown", 503, {"retry-after": date})), Pace()) == "answer"
    assert slept == [0.5]
