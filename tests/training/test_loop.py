"""The training loop: broken anywhere and resumed, it ends at the very weights of an unbroken run."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
import tiny_training as tiny
import torch
from safetensors.torch import load_file
from tiny_training import LOOP, STEPS, TinyStage, TinyTask, run
from torch import nn

from facetag.errors import DataError, FacetagError
from facetag.networks.anet import ANet
from facetag.training import checkpoint, loop
from facetag.training.loop import Diverged, Loop, LoopSettings, RunOptions, to_input

CPU = torch.device("cpu")


def weights(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


def assert_same_weights(folder, other):
    for name, tensor in weights(folder).items():
        assert torch.equal(tensor, weights(other)[name]), name
    best, others = load_file(folder / "best.safetensors"), load_file(other / "best.safetensors")
    assert best.keys() == others.keys() and all(torch.equal(best[name], others[name]) for name in best)
    assert checkpoint.figures(folder) == checkpoint.figures(other)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def validations(folder):
    return [{**row, "seconds": 0} for row in rows(folder) if "validation" in row]


def stop_after(steps):
    left = iter(range(steps - 1, -1, -1))
    return lambda: next(left) == 0


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The very same weights need the very same number of threads; the processes started here have one too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    outcome = run(folder)
    assert outcome.finished and outcome.steps == STEPS == 15
    return folder


def test_a_run_leaves_its_files_and_its_best(unbroken):
    assert sorted(path.name for path in unbroken.iterdir()) == ["best.safetensors", "checkpoint.pt", "metrics.jsonl"]
    found = validations(unbroken)
    assert [row["step"] for row in found] == [5, 10, 15]
    best = max(found, key=lambda row: row["validation"]["figure"])
    assert found[-1]["best"] == best["validation"]["figure"]
    assert checkpoint.figures(unbroken) == {"epoch": best["epoch"], "step": best["step"], **best["validation"]}
    assert [row["step"] for row in rows(unbroken) if "loss" in row] == [5, 10, 15]
    assert rows(unbroken)[0].keys() == {"stage", "seconds", "epoch", "step", "of", "loss", "images_per_second"}


def test_training_learns(unbroken):
    first, *_, last = validations(unbroken)
    assert last["validation"]["figure"] > first["validation"]["figure"]


def test_the_same_again_is_the_same(unbroken, tmp_path):
    run(tmp_path)
    assert_same_weights(tmp_path, unbroken)


@pytest.mark.parametrize("seed", [4, 5])
def test_another_seed_is_another_run(unbroken, tmp_path, seed):
    run(tmp_path, TinyStage(loop=replace(LOOP, seed=seed)))
    assert not torch.equal(weights(tmp_path)["0.weight"], weights(unbroken)["0.weight"])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("settings", [
    LOOP, replace(LOOP, optimizer="adamw", rate=0.01), replace(LOOP, precision="bfloat16", clip=0.1),
    replace(LOOP, average=0.9),
])  # fmt: skip
def test_stopped_and_resumed_is_unbroken(tmp_path, settings, workers):
    stage, whole, broken = TinyStage(loop=settings), tmp_path / "whole", tmp_path / "broken"
    run(whole, stage)
    for number, steps in enumerate((2, 3, 4)):  # in an epoch, at its very end, in the next
        outcome = run(broken, stage, resume=number > 0, workers=workers, should_stop=stop_after(steps))
        assert not outcome.finished
    assert run(broken, stage, resume=True, workers=workers).finished
    assert_same_weights(broken, whole)
    assert validations(broken) == validations(whole)


def test_a_step_at_a_time_by_max_time(unbroken, tmp_path):
    outcome, runs = run(tmp_path, max_time=0.0), 1
    while not outcome.finished:
        assert outcome.steps == runs
        outcome, runs = run(tmp_path, resume=True, max_time=0.0), runs + 1
    assert runs == STEPS + 1, "the last run has the validation left to do"
    assert_same_weights(tmp_path, unbroken)
    assert validations(tmp_path) == validations(unbroken)


def test_resuming_what_is_finished_changes_nothing(unbroken, tmp_path):
    run(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    outcome = run(tmp_path, resume=True)
    assert outcome.finished and outcome.steps == STEPS
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_was_logged_after_the_checkpoint_is_not_logged_twice(tmp_path):
    """A run killed between checkpoints has logged steps that the resumed run makes again."""
    run(tmp_path, should_stop=stop_after(7))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        for step in (7, 8, 10):
            file.write(json.dumps({"stage": "tiny", "step": step, "loss": 7.0}) + "\n")
        file.write('{"stage": "tiny", "st')
    run(tmp_path, resume=True)
    assert [row["step"] for row in rows(tmp_path) if "loss" in row] == [5, 7, 7, 10, 15]
    assert [row["step"] for row in validations(tmp_path)] == [5, 10, 15]


def test_starting_anew_forgets_the_old_run(tmp_path):
    run(tmp_path)
    run(tmp_path, should_stop=stop_after(2))
    assert not (tmp_path / "best.safetensors").exists()
    assert [row["step"] for row in rows(tmp_path)] == [2]


@pytest.mark.parametrize("changed", [
    TinyStage(loop=replace(LOOP, rate=0.04)), TinyStage(loop=replace(LOOP, epochs=4)), TinyStage(dropout=0.4),
    TinyStage(noise=10.0),
])  # fmt: skip
def test_other_settings_cannot_resume(tmp_path, changed):
    run(tmp_path, should_stop=stop_after(2))
    with pytest.raises(DataError, match="other settings; use its recipe"):
        run(tmp_path, changed, resume=True)
    assert run(tmp_path, resume=True).finished


def test_another_net_cannot_resume(tmp_path):
    run(tmp_path, should_stop=stop_after(2))
    task = TinyTask(TinyStage())
    task.model[4] = nn.Linear(4 * 36, 2)
    with pytest.raises(DataError, match="another net") as caught:
        loop.train(task, LOOP, tmp_path, RunOptions(workers=0, resume=True))
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_to_resume(tmp_path):
    with pytest.raises(DataError, match="does not exist; start without --resume"):
        run(tmp_path, resume=True)


class Stumbling(TinyTask):
    """Its loss is multiplied at one step."""

    def __init__(self, step, factor, **settings):
        super().__init__(TinyStage(loop=replace(LOOP, **settings)))
        self.steps, self.step, self.factor = 0, step, factor

    def loss(self, model, images, *targets):
        self.steps += 1
        return super().loss(model, images, *targets) * (self.factor if self.steps == self.step else 1.0)


def stumble(folder, task, **options):
    with pytest.raises(Diverged) as caught:
        loop.train(task, task.stage.loop, folder, RunOptions(workers=0, **options))
    message = str(caught.value)
    assert isinstance(caught.value, FacetagError) and len(message.splitlines()) == 1
    assert message.startswith("tiny: the ") and "lower its rate" in message
    return message


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run_and_is_never_saved(tmp_path, factor):
    """Within an epoch of fewer steps than are reported together."""
    assert "loss is nan at step 10" in stumble(tmp_path, Stumbling(8, factor))
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path).values())
    assert checkpoint.load(tmp_path, TinyStage(loop=LOOP).loop, device=CPU)["step"] == 5
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_broken_weights_are_never_saved_between_reports(tmp_path):
    """The loss of the breaking step itself is finite; the next checkpoint is due before the next report."""
    task = Stumbling(3, 1.0)
    task.model[0].weight.register_hook(lambda grad: grad * (math.inf if task.steps == 3 else 1.0))
    assert "weights are not finite at step 3" in stumble(tmp_path, task, checkpoint_every=0.0)
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path).values())


class Judged(TinyTask):
    def __init__(self, figures):
        super().__init__(TinyStage(loop=replace(LOOP, epochs=len(figures))))
        self.figures, self.seen = iter(figures), []

    def validate(self, model, device):
        assert not model.training and torch.is_inference_mode_enabled()
        self.seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"figure": next(self.figures), "other": 100.0 - len(self.seen)}


def test_the_best_by_the_metric_is_kept(tmp_path):
    task = Judged([0.2, 0.5, 0.5, 0.1])
    outcome = loop.train(task, task.stage.loop, tmp_path, RunOptions(workers=0))
    assert outcome.best == 0.5
    assert checkpoint.figures(tmp_path) == {"epoch": 1, "step": 10, "figure": 0.5, "other": 98.0}
    best = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(best[name], tensor) for name, tensor in task.seen[1].items())


def test_the_last_is_kept_when_that_is_asked(tmp_path):
    task = Judged([0.2, 0.5, 0.1])
    outcome = loop.train(task, replace(task.stage.loop, keep="last"), tmp_path, RunOptions(workers=0))
    assert outcome.best == 0.1 and checkpoint.figures(tmp_path)["epoch"] == 2
    kept = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in task.seen[2].items())


def test_the_best_of_before_the_break_counts(tmp_path):
    task = Judged([0.9, 0.5, 0.5])
    loop.train(task, task.stage.loop, tmp_path, RunOptions(workers=0, should_stop=stop_after(7)))
    again = Judged([0.5, 0.6, 0.7])
    outcome = loop.train(again, again.stage.loop, tmp_path, RunOptions(workers=0, resume=True))
    assert outcome.best == 0.9 and checkpoint.figures(tmp_path)["epoch"] == 0


def rates(tmp_path, warmup, total=40):
    state = Loop(TinyTask(TinyStage()), replace(LOOP, rate=2.0, warmup=warmup), tmp_path, RunOptions())
    state.total = total
    found = []
    for step in range(total):
        state.step = step
        found.append(state._rate())
    return found


def test_the_rate_warms_up_then_falls_along_half_a_cosine(tmp_path):
    found = rates(tmp_path, 0.25)
    assert found[:10] == pytest.approx([2.0 * (step + 1) / 10 for step in range(10)])
    assert found[9:] == pytest.approx([1 + math.cos(math.pi * step / 30) for step in range(31)])


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_all_or_no_warmup(tmp_path, warmup):
    found = rates(tmp_path, warmup)
    assert found == sorted(found, reverse=warmup == 0) and max(found) <= 2.0
    assert found[-1] == pytest.approx(2.0 if warmup else 0.0)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_weights_decay_and_biases_do_not(tmp_path, name, kind):
    task = TinyTask(TinyStage())
    task.model = nn.Sequential(ANet(), nn.BatchNorm2d(3))
    settings = LoopSettings(optimizer=name, weight_decay=0.25, momentum=0.5)
    optimizer = Loop(task, settings, tmp_path, RunOptions()).optimizer
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    names = dict(task.model.named_parameters())
    assert len(decay) == len(names)
    decayed = {name for name, p in names.items() if decay[id(p)] == 0.25}
    assert decayed == {f"0.{layer}.weight" for layer in ("c1", "c2", "c3", "c4", "fc")}
    assert {decay[id(p)] for name, p in names.items() if name not in decayed} == {0.0}


def test_gradients_are_clipped_to_their_largest_norm(tmp_path):
    settings = LoopSettings(epochs=1, batch=8, rate=1.0, momentum=0.0, weight_decay=0.0, warmup=0.2, clip=1e-3, seed=3)
    stage = TinyStage(loop=settings)
    before = TinyTask(stage).model.state_dict()
    run(tmp_path, stage, should_stop=stop_after(1))
    moved = math.sqrt(sum(float((weights(tmp_path)[name] - before[name]).square().sum()) for name in before))
    assert moved == pytest.approx(1e-3, rel=1e-2)


def test_bfloat16_keeps_weights_in_float32(tmp_path, unbroken):
    run(tmp_path, TinyStage(loop=replace(LOOP, precision="bfloat16")))
    for name, tensor in weights(tmp_path).items():
        assert tensor.dtype == torch.float32
        assert not torch.equal(tensor, weights(unbroken)[name])
        torch.testing.assert_close(tensor, weights(unbroken)[name], atol=0.05, rtol=0.05)


def test_input_is_scaled_and_turned():
    images = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).reshape(2, 4, 5, 3)
    found = to_input(images, CPU)
    assert found.shape == (2, 3, 4, 5) and found.dtype == torch.float32
    assert float(found[1, 2, 3, 4]) == pytest.approx(119 / 255)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_rows_are_reported_as_they_are_logged(tmp_path):
    seen = []
    run(tmp_path, report=seen.append)
    assert seen == rows(tmp_path)


def test_steps_are_taken_where_signals_are_awaited(tmp_path):
    inside, asked = [False], []

    @contextmanager
    def stepping():
        inside[0] = True
        yield
        inside[0] = False

    def should_stop():
        asked.append(inside[0])
        return False

    assert run(tmp_path, stepping=stepping, should_stop=should_stop).finished
    assert asked == [True] * (STEPS + 1) and not inside[0]


def test_a_signal_during_the_last_validation_is_no_finish_but_resumes_to_one(unbroken, tmp_path):
    seen = []
    told = run(tmp_path, report=seen.append, should_stop=lambda: sum("validation" in row for row in seen) == 3)
    assert not told.finished and told.steps == STEPS
    assert run(tmp_path, resume=True).finished
    assert_same_weights(tmp_path, unbroken)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FacetagError, match=r"^cannot write .*file.*: Not a directory; choose another place"):
        run(tmp_path / "file" / "run")


@pytest.mark.parametrize("name", ["append_metrics", "save", "save_best"])
def test_a_full_disk_is_one_line(tmp_path, monkeypatch, name):
    def full(*given, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, name, full)
    with pytest.raises(FacetagError, match=r"^cannot write .*: No space left on device; "):
        run(tmp_path)


def start(folder, *words):
    command = [sys.executable, tiny.__file__, str(folder), "--workers", "1", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def outcome_of(folder):
    return json.loads((folder / "outcome_0.json").read_text())


@pytest.mark.process
def test_killed_or_told_to_stop_and_resumed_is_unbroken(unbroken, tmp_path):
    """Real processes: a SIGTERM to the whole group, loader's workers included, then a kill -9 in the middle."""
    told = start(tmp_path)
    for _ in range(4):
        assert told.stdout.readline() == "step\n"
    os.killpg(told.pid, signal.SIGTERM)
    told.communicate(timeout=300)
    assert told.returncode == 0
    assert not outcome_of(tmp_path)["finished"] and 4 <= outcome_of(tmp_path)["steps"] <= 6

    killed = start(tmp_path, "--resume")
    for _ in range(4):
        assert killed.stdout.readline() == "step\n"
    killed.kill()
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL

    last = start(tmp_path, "--resume")
    last.communicate(timeout=300)
    assert last.returncode == 0 and outcome_of(tmp_path)["finished"] and outcome_of(tmp_path)["steps"] == STEPS
    assert_same_weights(tmp_path, unbroken)
    assert validations(tmp_path) == validations(unbroken)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_on_a_gpu(unbroken, tmp_path, precision):
    stage = TinyStage(dropout=0.0, loop=replace(LOOP, precision=precision))
    here, there = tmp_path / "here", tmp_path / "there"
    run(here, stage)
    cuda = torch.device("cuda", 0)
    run(there, stage, device=cuda, workers=1, should_stop=stop_after(7))
    assert run(there, stage, device=cuda, workers=1, resume=True).finished
    for name, tensor in weights(there).items():
        torch.testing.assert_close(tensor.cpu(), weights(here)[name], atol=0.02, rtol=0.05)


def test_the_running_mean_of_the_weights_is_what_is_kept(tmp_path):
    """The mean over three steps, of which the first sets it, by hand."""
    kept = []

    def remember(task):
        step = Loop._step

        def stepping(self, *given):
            result = step(self, *given)
            kept.append([parameter.detach().clone() for parameter in self.model.parameters()])
            return result

        return stepping

    settings = replace(LOOP, average=0.75, epochs=1)
    task = TinyTask(TinyStage(loop=settings))
    state = Loop(task, settings, tmp_path, RunOptions(workers=0))
    state._step = remember(task).__get__(state)
    assert state.run().finished
    mean = kept[0]
    for weights in kept[1:]:
        mean = [0.75 * old + 0.25 * new for old, new in zip(mean, weights, strict=True)]
    best = list(checkpoint.best_state(tmp_path).values())
    by_shape = {tuple(tensor.shape): tensor for tensor in best}
    assert len(by_shape) == len(mean) == 4
    for tensor in mean:
        torch.testing.assert_close(by_shape[tuple(tensor.shape)], tensor)
    assert not all(torch.equal(by_shape[tuple(last.shape)], last) for last in kept[-1])
