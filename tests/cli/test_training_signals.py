"""Ctrl-C and SIGTERM: a training step is ended first, anything else at once, a second signal always."""

import os
import signal
import subprocess
import sys

import pytest

#: One command of real training commands' making: it says where it is and waits there for a signal.
COMMAND = """
import sys, time
import typer
from facetag import cli
from facetag.cli.commands import stages

app = typer.Typer()
app.callback()(cli.facetag)

def wait(until=lambda: False):
    print('here', flush=True)
    end = time.monotonic() + 30
    while time.monotonic() < end and not until():
        time.sleep(0.01)

@app.command()
def proposing():
    stages.run_options('cpu', 0, False, None, True)
    wait()

@app.command()
def stepping():
    options = stages.run_options('cpu', 0, False, None, True)
    with options.stepping():
        wait(options.should_stop)
    print('saved', flush=True)
    from facetag.training.loop import Outcome
    stages.finish(Outcome(False, 3, 0.5))

@app.command()
def stuck():
    options = stages.run_options('cpu', 0, False, None, True)
    with options.stepping():
        wait(options.should_stop)
        wait()

@app.command()
def after():
    options = stages.run_options('cpu', 0, False, None, True)
    with options.stepping():
        pass
    wait()

cli.app = app
sys.exit(cli.run(sys.argv[1:]))
"""


def end(command, number, times=1):
    """Exit code, what was said after the signals, and the errors."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    for _ in range(times):
        assert process.stdout.readline() == "here\n"
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


ENDS = [(signal.SIGINT, 130, "facetag: interrupted\n"), (signal.SIGTERM, 143, "facetag: terminated\n")]


@pytest.mark.process
@pytest.mark.parametrize(("number", "code", "line"), ENDS)
@pytest.mark.parametrize("command", ["proposing", "after"])
def test_outside_the_loop_the_first_signal_ends_in_one_line(command, number, code, line):
    assert end(command, number) == (code, "", line)


@pytest.mark.process
@pytest.mark.parametrize(("number", "code", "line"), ENDS)
def test_a_second_signal_ends_the_step_too(number, code, line):
    assert end("stuck", number, times=2) == (code, "", line)


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_step_is_saved_first(number, code):
    found, out, err = end("stepping", number)
    assert (found, out) == (code, "saved\n")
    assert err.startswith("facetag: stopped after 3 steps; the same command with --resume goes on\n")
