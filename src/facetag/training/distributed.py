"""Several processes by torch's own DDP: torchrun starts them, these few functions join them."""

import gc
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

#: How long a process waits for the others: the first may validate for long, and torchrun ends all when one has died.
PATIENCE = timedelta(hours=2)


def world() -> int:
    """How many processes train together; 1 without torchrun."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started (WORLD_SIZE in the environment); does nothing for a single one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    # DDP imports it anyway. Imported while a group exists, it holds that group for ever, so that the group's threads
    # outlive it and may meet an interpreter that is gone: "terminate called without an active exception".
    importlib.import_module("torch._dynamo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        gc.collect()  # DDP's reducer holds the group as well
        distributed.destroy_process_group()


def first_alone(work: Callable[[], None]) -> None:
    """Let the first process do the work while the others wait for it."""
    if rank() == 0:
        work()
    if world() > 1:
        distributed.barrier()


def parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """The model as every process trains it: gradients averaged, batch statistics shared where CUDA can."""
    if world() == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in at least one process: all stop at the same step or none."""
    if world() == 1:
        return flag
    value = torch.tensor(float(flag), device=device)
    distributed.all_reduce(value, distributed.ReduceOp.MAX)
    return bool(value.item())


def mean_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The mean of a scalar over all processes."""
    if world() > 1:
        distributed.all_reduce(value)
        value = value / world()
    return value


def from_first(value: float, device: torch.device) -> float:
    """The first process's value, in all of them; so it is also a place where all wait for the first."""
    if world() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.broadcast(shared, 0)
    return float(shared.item())
