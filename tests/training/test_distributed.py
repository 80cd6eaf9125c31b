"""Several processes train as one would on the joint batch: real ones, joined by torchrun over gloo."""

import json
import os
import subprocess
import sys

import pytest
import tiny_training as tiny
import torch
from tiny_training import STEPS, TinyStage
from torch import nn

from facetag.training import distributed, loop

CPU = torch.device("cpu")


def test_alone_nothing_is_shared():
    net = nn.Linear(1, 1)
    assert (distributed.world(), distributed.rank()) == (1, 0)
    assert distributed.parallel(net, CPU) is net
    assert distributed.any_process(True, CPU) and not distributed.any_process(False, CPU)
    assert distributed.from_first(0.1, CPU) == 0.1
    value = torch.tensor(2.0)
    assert distributed.mean_over_processes(value) == 2.0
    with distributed.process_group(CPU):
        assert not torch.distributed.is_initialized()


def torchrun(folder, *words):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", tiny.__file__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [*command, str(folder), *words], capture_output=True, text=True, timeout=600, env=environment, check=False
    )
    assert found.returncode == 0, found.stderr
    return [json.loads((folder / f"outcome_{rank}.json").read_text()) for rank in range(2)]


def losses(folder):
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.process
def test_two_processes_are_one_with_the_joint_batch(tmp_path, monkeypatch):
    """The second process alone is told to stop; both do. Resumed, the second waits while the first validates long."""
    here, there = tmp_path / "here", tmp_path / "there"
    monkeypatch.setattr(loop, "REPORT_EVERY", 1)
    outcome = tiny.run(here, TinyStage(dropout=0.0))

    stopped = torchrun(there, "--dropout", "0", "--stop", "1:7")
    assert [(each["finished"], each["steps"]) for each in stopped] == [(False, 7)] * 2
    finished = torchrun(there, "--dropout", "0", "--resume", "--pause", "1.5")
    assert [(each["finished"], each["steps"]) for each in finished] == [(True, STEPS)] * 2
    assert not [name for each in stopped + finished for name in each["threads"] if "gloo" in name]  # all were joined
    assert finished[0]["best"] == finished[1]["best"] == pytest.approx(outcome.best, rel=1e-4)

    assert losses(there) == pytest.approx(losses(here), rel=1e-4, abs=2e-6)
    whole, shared = (torch.load(folder / "checkpoint.pt", weights_only=True)["model"] for folder in (here, there))
    for name, tensor in whole.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.process
def test_an_error_in_the_first_process_leaves_none_waiting(tmp_path):
    """It cannot validate (no pause is that short), while the other waits for its figure."""
    with pytest.raises(AssertionError, match="sleep length must be non-negative"):
        torchrun(tmp_path, "--pause", "-1")
    assert not list(tmp_path.glob("outcome_*"))
