"""`predict --watch`: the run again after each quiet moment of what it reads, until a signal.

A run after the first asks only what is new or changed, since the journal beside the output knows the rest.
"""

import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from facetag.cli.console import say
from facetag.cli.options import Options
from facetag.cli.request import Request
from facetag.errors import ExitCode, UsageError
from facetag.formats.destination import HIDDEN, is_regular
from facetag.formats.part_folder import is_folder
from facetag.remote.url import as_url

if TYPE_CHECKING:
    from facetag.cli.signals import Signals

QUIET = 5.0  #: seconds without a change after which the run begins
_TICK = 400  #: milliseconds between two looks at what changed
_NAMELESS = re.compile(r"#\d+")


def refuse_unwatchable(options: Options) -> None:
    """Raises UsageError: --watch does not go with what these options ask for, or an input is not there."""
    if options.files_from is not None or not options.paths:
        raise UsageError("--watch looks at folders", "name them on the command line")
    if not is_regular(options.out):
        raise UsageError("--watch writes the whole document again and again", "add --out FILE")
    if options.dry_run or options.boxes is not None or options.append:
        raise UsageError("--watch goes with none of --dry-run, --boxes and --append", "leave them out")
    if any(as_url(path) for path in (options.out, *options.paths)):
        raise UsageError("--watch sees what changes on this machine alone", "name folders and an output here")
    for path in options.paths:
        if not os.path.exists(path):
            raise UsageError(f"{path} is not there, so nothing can be seen to change in it", "make the folder first")


def run_and_watch(request: Request, run: Callable[[Request], ExitCode]) -> ExitCode:
    """Run, and again after each quiet moment. A run that ends with failed inputs goes on being watched.

    Returns:
        OK, at the first signal; a run that it met has written its answers to the journal.

    Raises:
        UsageError: the extra is missing.
        FacetagError: a run cannot be carried out.
    """
    signals, later = request.signals, replace(request, how=replace(request.how, overwrite=False))
    with signals.stepping():
        moments = quiet_moments(list(request.options.paths or ()), is_own(request.options), signals)
        next(moments, None)  # what changes from here on is seen, so that the first run misses nothing
        run(request)
        say("watching; Ctrl-C ends it")
        for _ in moments:
            run(later)
    say("no longer watching")
    return ExitCode.OK


def quiet_moments(paths: list[str], is_own: Callable[[str], bool], signals: "Signals") -> Iterator[None]:
    """Once when changes begin to be seen, then QUIET seconds after the last of them; ends at a signal.

    Raises:
        UsageError: the extra is missing.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise UsageError("--watch needs watchfiles", "pip install 'facetag[watch]'") from error
    watch = partial(
        watchfiles.watch,
        *paths,
        watch_filter=lambda _, path: not is_own(path),
        step=50,
        debounce=_TICK,
        rust_timeout=_TICK,
        yield_on_timeout=True,
        stop_event=_Received(signals),
        raise_interrupt=False,
    )
    yield from _quiet(_changes(watch))


def _changes(watch: Callable[[], Iterator[Collection[object]]]) -> Iterator[Collection[object]]:
    """What changed between one look and the next. watchfiles gives up at a name that is no UTF-8: something of that
    name changed, so that counts, and it begins anew."""
    while True:
        try:
            yield from watch()
            return
        except RuntimeError as error:
            if "decode path" not in str(error):
                raise
            yield ("a name that is no UTF-8",)


def _quiet(seen: Iterator[Collection[object]]) -> Iterator[None]:
    """After the first look, and where the last change is QUIET seconds old."""
    next(seen, None)
    yield
    last = float("inf")
    for changes in seen:
        if changes:
            last = time.monotonic()
        elif time.monotonic() - last >= QUIET:
            last = float("inf")
            yield


class _Received:
    """What watchfiles asks between two looks whether to end."""

    def __init__(self, signals: "Signals") -> None:
        self._signals = signals

    def is_set(self) -> bool:
        return bool(self._signals.received)


def is_own(options: Options) -> Callable[[str], bool]:
    """Whether a changed file is what the run itself writes: its output, its journal, what lies beside them,
    drawings, crops, sidecars, and a lock that has no name yet, which Linux calls by `#` and its number."""
    named = [os.path.split(os.path.realpath(file)) for file in (options.out, options.journal) if file]
    written = [folder for folder in (options.draw, options.crop_dir, is_folder(options.out) and options.out) if folder]
    folders = [os.path.join(os.path.realpath(folder), "") for folder in written]

    def own(path: str) -> bool:
        path = os.path.realpath(path)
        folder, changed = os.path.split(path)
        ours = any(
            folder == own_folder and (changed.startswith((name, HIDDEN)) or _NAMELESS.fullmatch(changed))
            for own_folder, name in named
        )
        return ours or changed.endswith(".xmp") or any(path.startswith(each) for each in folders)

    return own
