import logging
import os

import pytest
from hypothesis import settings

# Two processes of tests share two cores, and torch's threads wait for each other in loops: passive, all tests together
# take half of the time. Read when torch is loaded, here and in what tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

#: Tests that run whole commands or cascades, train nets or ask the shipped models, in this process: as slow as those
#: that start others, and marked as they are.
WHOLE = (
    "cli/", "evaluate/", "localization/test_lnet_localizer.py", "pipeline/test_stages.py",
    "project/", "runs/test_merge.py", "system/", "test_model.py", "test_predictor.py", "training/competitors/",
    "training/test_cascade.py", "training/test_loop.py",
)  # fmt: skip

# Machines differ in speed, and a run is to fail for a reason that the next one repeats, here as in CI. Other examples
# are looked for with --hypothesis-profile=searching.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def speaking():
    """What an earlier test's command said about lines (-q, -v, --log-format) is not for the next."""
    from facetag.cli import console

    console.speak("text", logging.INFO)


@pytest.fixture(autouse=True)
def nobodys_configuration(monkeypatch):
    """Whoever runs the tests may have a configuration of their own; tests are not to heed it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null/none")  # where no browser can make one either


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """The random model, saved."""
    return _saved("random_model", tmp_path_factory)


@pytest.fixture(scope="session")
def center_folder(tmp_path_factory):
    """The random model behind a centre network, saved."""
    return _saved("center_model", tmp_path_factory)


def _saved(name, tmp_path_factory):
    import models
    from facetag.model import save_model

    model = getattr(models, name)()
    folder = tmp_path_factory.mktemp(name) / model.name
    save_model(model, folder, models.CARD)
    return folder


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes")
    parser.addoption("--system", action="store_true", help="run the tests that ask exiftool, exiv2, Chromium or jq")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config, items):
    """Skipped tests are listed with their reason at the end of every run (-ra)."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(WHOLE):
            item.add_marker("process")
    if not config.getoption("--slow"):
        _skip(items, "slow", "takes minutes; run with --slow")
    if not config.getoption("--system"):
        _skip(items, "system", "asks other programs; run with --system")
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            _skip(items, "gpu", "no CUDA device here")


def _skip(items, marker, reason):
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))
