"""The one training loop: SGD as in the paper or AdamW, resumable to the same weights (paper, section 4).

A stage brings a Task: its net, its examples, its loss and its validation figure. Everything that chance decides
at step s follows from (seed, epoch, index) or (seed, s, rank), so a resumed run repeats an unbroken one.
"""

import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from facetag.errors import DataError, FacetagError, writing
from facetag.networks.execution.layout import channels_last
from facetag.training import checkpoint, distributed

REPORT_EVERY = 20  #: steps


class Diverged(FacetagError):
    """Training ran away: the loss or the weights are not finite."""


@dataclass(frozen=True)
class LoopSettings:
    """How a stage is optimised.

    Attributes:
        epochs: passes over the stage's examples.
        batch: examples a step, over all processes together.
        optimizer: `sgd` (the paper) with `momentum`, or `adamw`.
        rate: the highest learning rate; it warms up over the first `warmup` share of all steps, then falls
            along half a cosine to nothing.
        weight_decay: of the optimizer.
        clip: gradients' largest norm; 0 = no limit.
        average: what is validated and kept is a running mean of the weights: each step keeps this share of it and
            takes the rest from the weights. 0.999 is a mean of some thousand steps; 0 = the weights themselves.
        keep: the epoch of the best validation figure, or the last one, for a stage that also learns what this figure
            does not tell.
        precision: `bfloat16` runs the nets under autocast; weights stay float32.
        seed: of everything that chance decides.
    """

    epochs: int = 10
    batch: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.05
    clip: float = 0.0
    average: float = 0.0
    keep: Literal["best", "last"] = "best"
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0


@dataclass(frozen=True)
class RunOptions:
    """What may differ from run to run without changing the result.

    Attributes:
        device: where the net runs.
        workers: processes that prepare examples; 0 = this one.
        resume: continue from the folder's checkpoint.
        max_time: seconds after which this run saves and stops; None = none.
        checkpoint_every: seconds between checkpoints.
        should_stop: asked after every step; True saves and stops.
        stepping: entered while steps are taken, that is, while should_stop is asked.
        report: receives every row of metrics.
    """

    device: torch.device = torch.device("cpu")
    workers: int = 1
    resume: bool = False
    max_time: float | None = None
    checkpoint_every: float = 180.0
    should_stop: Callable[[], bool] = lambda: False
    stepping: Callable[[], AbstractContextManager[None]] = nullcontext
    report: Callable[[dict[str, Any]], None] = lambda row: None


class Task(Protocol):
    """One stage of training."""

    name: str
    stage: Any  #: settings of the whole stage; those that it is resumed with must be those that it was begun with
    model: nn.Module
    metric: str  #: the validation figure that decides what is kept, unless that is the last; larger is better

    @property
    def examples(self) -> "Dataset[Any]":
        """(epoch, index) -> (image uint8 (H, W, 3), targets ...)."""
        ...

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sequence[int]]:
        """This process's batches of an epoch, as indices of examples."""
        ...

    def loss(self, model: nn.Module, images: Tensor, *targets: Tensor) -> Tensor:
        """The batch's mean loss; images (N, 3, H, W) in [0, 1]."""
        ...

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Figures on held-out training identities (or pictures)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """`finished` is False when time or a signal ended the run; then `--resume` goes on."""

    finished: bool
    steps: int
    best: float


def to_input(images: Tensor, device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) -> float (N, 3, H, W) in [0, 1], channels last in memory."""
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)


class Loop:
    """State of one run of one task."""

    def __init__(self, task: Task, settings: LoopSettings, folder: Path, options: RunOptions) -> None:
        self.task, self.settings, self.folder, self.options = task, settings, folder, options
        self.model = channels_last(task.model.to(options.device))
        self.parallel = distributed.parallel(self.model, options.device)
        self.optimizer = self._optimizer()
        self.average = self._average() if settings.average else None
        self.epoch = self.position = self.step = self.total = 0  # total: steps of the whole stage
        self.best = -math.inf
        self.started = self.saved = time.monotonic()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def _optimizer(self) -> torch.optim.Optimizer:
        s = self.settings
        named = list(self.model.named_parameters())
        # by name as well, since locally shared biases have three dimensions
        free = [p for name, p in named if p.ndim <= 1 or name.endswith("bias")]
        decayed = [p for name, p in named if not (p.ndim <= 1 or name.endswith("bias"))]
        groups = [{"params": decayed, "weight_decay": s.weight_decay}, {"params": free, "weight_decay": 0.0}]
        if s.optimizer == "adamw":
            return torch.optim.AdamW(groups, lr=s.rate)
        return torch.optim.SGD(groups, lr=s.rate, momentum=s.momentum)

    def _average(self) -> AveragedModel:
        averaging = get_ema_multi_avg_fn(self.settings.average)  # type: ignore[no-untyped-call]
        return AveragedModel(self.model, multi_avg_fn=averaging, use_buffers=True)

    def _rate(self) -> float:
        fraction = (self.step + 1) / self.total
        warmup = self.settings.warmup
        if fraction <= warmup:
            return self.settings.rate * fraction / warmup
        return self.settings.rate * 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))

    def run(self) -> Outcome:
        """Train to the end, or to the time limit."""
        with writing(self.folder):
            if self.options.resume:
                self._restore()
            elif distributed.rank() == 0:
                checkpoint.clear(self.folder)
        with self.options.stepping():
            while self.epoch < self.settings.epochs and self._run_epoch():
                self._validate()
                self.epoch, self.position = self.epoch + 1, 0
                self._save()
            finished = self.epoch >= self.settings.epochs and not self._must_stop()
        return Outcome(finished, self.step, self.best)

    def _must_stop(self) -> bool:
        """Asked once more at the end: when a signal came while the last epoch was validated, no stage is to follow."""
        return distributed.any_process(self.options.should_stop(), self.options.device)

    def _run_epoch(self) -> bool:
        """The rest of the current epoch; False when the run is to stop before its end."""
        batches = self.task.batches(self.epoch, distributed.rank(), distributed.world())
        self.total = len(batches) * self.settings.epochs
        self.model.train()
        recent: list[Tensor] = []
        since = time.monotonic()
        for images, *targets in self._load(batches[self.position :]):
            recent.append(self._step(images, targets))
            stop = self._time_is_up()
            if stop or len(recent) == REPORT_EVERY or self.position == len(batches):
                self._report_loss(recent, len(images), since)
                recent, since = [], time.monotonic()
            if stop or time.monotonic() - self.saved > self.options.checkpoint_every:
                self._save()
            if stop:
                return False
        return True

    def _load(self, batches: Sequence[Sequence[int]]) -> "DataLoader[Any]":
        workers = self.options.workers
        return DataLoader(
            self.task.examples,
            batch_sampler=[[(self.epoch, index) for index in batch] for batch in batches],
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            pin_memory=self.options.device.type == "cuda",
            worker_init_fn=leave_signals_alone,
        )

    def _step(self, images: Tensor, targets: list[Tensor]) -> Tensor:
        s, device = self.settings, self.options.device
        torch.manual_seed(hash((s.seed, self.step, distributed.rank())) % 2**63)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        moved = [target.to(device, non_blocking=True) for target in targets]
        with torch.autocast(device.type, torch.bfloat16, enabled=s.precision == "bfloat16"):
            loss = self.task.loss(self.parallel, to_input(images, device), *moved)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if s.clip > 0:
            nn.utils.clip_grad_norm_(self.model.parameters(), s.clip)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.model)
        self.step, self.position = self.step + 1, self.position + 1
        return loss.detach()

    def _time_is_up(self) -> bool:
        limit = self.options.max_time
        over = limit is not None and time.monotonic() - self.started > limit
        return distributed.any_process(over or self.options.should_stop(), self.options.device)

    def _report_loss(self, losses: list[Tensor], images: int, since: float) -> None:
        loss = float(distributed.mean_over_processes(torch.stack(losses).float().mean()))
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss}")
        speed = len(losses) * images * distributed.world() / (time.monotonic() - since)
        self._log(
            {
                "epoch": self.epoch,
                "step": self.step,
                "of": self.total,
                "loss": round(loss, 6),
                "images_per_second": round(speed, 1),
            }
        )

    def _diverged(self, what: str) -> Diverged:
        remedy = "lower its rate or set clip in the recipe, and start without --resume"
        return Diverged(f"{self.task.name}: {what} at step {self.step}", remedy)

    def _validate(self) -> None:
        """The first process validates and keeps; the others wait, so that none goes on to what is not kept yet."""
        if distributed.rank() == 0:
            kept: nn.Module = self.average.module if self.average else self.model
            kept.eval()
            with torch.inference_mode():
                figures = self.task.validate(kept, self.options.device)
            better = figures[self.task.metric] > self.best
            if better or self.settings.keep == "last":
                self.best = figures[self.task.metric]
                with writing(self.folder / checkpoint.BEST):
                    checkpoint.save_best(self.folder, kept, {"epoch": self.epoch, "step": self.step, **figures})
            self._log({"epoch": self.epoch, "step": self.step, "validation": figures, "best": self.best})
        self.best = distributed.from_first(self.best, self.options.device)

    def _log(self, row: dict[str, Any]) -> None:
        if distributed.rank() != 0:
            return
        row = {"stage": self.task.name, "seconds": round(time.monotonic() - self.started, 1), **row}
        with writing(self.folder / checkpoint.METRICS):
            checkpoint.append_metrics(self.folder, row)
        self.options.report(row)

    def _save(self) -> None:
        self.saved = time.monotonic()
        if distributed.rank() != 0:
            return
        if not all(torch.isfinite(parameter).all() for parameter in self.model.parameters()):
            raise self._diverged("the weights are not finite")
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "best": self.best}
        if self.average:
            state["average"] = self.average.state_dict()
        progress = {"epoch": self.epoch, "position": self.position, "step": self.step}
        with writing(self.folder / checkpoint.CHECKPOINT):
            checkpoint.save(self.folder, {**state, **progress}, self.settings, self.task.stage)

    def _restore(self) -> None:
        state = checkpoint.load(self.folder, self.settings, self.task.stage, device=self.options.device)
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.load_state_dict(state["average"])
        except (KeyError, RuntimeError, ValueError) as error:
            path = self.folder / checkpoint.CHECKPOINT
            raise DataError(f"{path} is of another net", "use its recipe, or start without --resume") from error
        self.best = state["best"]
        self.epoch, self.position, self.step = state["epoch"], state["position"], state["step"]
        if distributed.rank() == 0:
            checkpoint.rewind_metrics(self.folder, self.step)


def leave_signals_alone(worker: int) -> None:
    """Run in a loader's worker: a signal to the whole group is for the main process, which needs it to end its step."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def train(task: Task, settings: LoopSettings, folder: Path, options: RunOptions) -> Outcome:
    """Train `task` in `folder`: checkpoint.pt to resume from, best.safetensors, metrics.jsonl.

    Without `resume`, what an earlier run left there is removed. With several processes all return together, the first
    having written.

    Raises:
        DataError: `resume` without a checkpoint, or with other settings than it was made with.
        Diverged: the loss became infinite or no number.
        FacetagError: the folder cannot be written.
    """
    with distributed.process_group(options.device):
        torch.manual_seed(settings.seed)
        return Loop(task, settings, folder, options).run()
