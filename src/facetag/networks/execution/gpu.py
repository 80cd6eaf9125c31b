"""What a GPU answers: asked without waiting, from pinned memory, a stream a thread, by CUDA graphs of what recurs."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Size, Tensor

AHEAD = 2  #: groups that are under way while the answer to one is waited for
RECURRING = 3  #: a shape that is met for this time gets a graph
MOST_GRAPHS = 32  #: of a function in a thread; photographs may have any shape

_capturing = threading.Lock()  # torch allows one capture at a time, and no clearing of its memory beside it
_own = threading.local()
_gpu_streams: "WeakSet[GpuStream]" = WeakSet()
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Repeats:
    """What a thread has met of a function, and its graphs."""

    seen: Counter[Size] = field(default_factory=Counter)
    graphs: dict[Size, "Graph"] = field(default_factory=dict)


class GpuStream:
    """A thread's way to a GPU: a stream, in which all that it asks for happens in order, and the memory that its graphs
    share, as no two of them run at a time and each answer has left before the next one starts."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()
        self.has_room = True
        _gpu_streams.add(self)
        self._repeats: WeakKeyDictionary[GpuFunction, _Repeats] = WeakKeyDictionary()

    def graph(self, function: "GpuFunction", pixels: Tensor) -> "Graph | None":
        """What repeats the function for pixels of this shape, once they have been met often enough."""
        repeats = self._repeats.setdefault(function, _Repeats())
        shape = pixels.shape
        if shape in repeats.graphs:
            return repeats.graphs[shape]
        repeats.seen[shape] += 1
        if self.has_room and repeats.seen[shape] >= RECURRING and len(repeats.graphs) < MOST_GRAPHS:
            try:
                return repeats.graphs.setdefault(shape, Graph(function, pixels, self))
            except RuntimeError as error:  # no memory, or somebody in this process disturbed the capture
                _log.warning("goes on without CUDA graphs: %s", str(error).partition("\n")[0])
                self.give_up_graphs()
        return None

    def give_up_graphs(self) -> None:
        """For good, by the lane's own thread or while it waits: the memory is wanted for what is larger."""
        self.stream.synchronize()
        self._repeats.clear()
        self.has_room = False


def gpu_stream_of_this_thread(device: torch.device) -> GpuStream:
    """The same at each call of a thread."""
    gpu_streams: dict[torch.device, GpuStream] = _own.__dict__.setdefault("lanes", {})
    if device not in gpu_streams:
        gpu_streams[device] = GpuStream(device)
    return gpu_streams[device]


class GpuFunction:
    """A function of pixels (N, ...) uint8 on a GPU -> (N, ...) float32 there, for groups that lie in the host's memory.

    Its weights have to stay where they are, as graphs know them by their place.

    Args:
        graphs: CUDA graphs may be made of it, as it waits for nothing.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], device: torch.device, graphs: bool = True) -> None:
        self.function, self.device, self._graphs = function, device, graphs
        torch.cuda.current_stream(device).synchronize()  # until its weights are there; who asks has another stream

    def __call__(self, groups: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """The answer to each group, in order."""
        gpu_stream = gpu_stream_of_this_thread(self.device)
        under_way: deque[_UnderWay] = deque()
        for group in groups:
            under_way.append(self._ask(gpu_stream, group))
            if len(under_way) > AHEAD:
                yield under_way.popleft().answer()
        while under_way:
            yield under_way.popleft().answer()

    def _ask(self, gpu_stream: GpuStream, group: NDArray[np.uint8]) -> "_UnderWay":
        pixels = pinned(group.shape, torch.uint8).copy_(torch.from_numpy(group))
        try:
            with torch.cuda.stream(gpu_stream.stream), torch.inference_mode():
                return _UnderWay(self._asked(gpu_stream, pixels), gpu_stream.stream)
        except torch.OutOfMemoryError:
            gpu_stream.give_up_graphs()
            raise

    def _asked(self, gpu_stream: GpuStream, pixels: Tensor) -> Tensor:
        graph = gpu_stream.graph(self, pixels) if self._graphs else None
        return graph(pixels) if graph else self.function(pixels.to(self.device, non_blocking=True))


class Graph:
    """What a function does to pixels of one shape, captured to be done again at the cost of one launch (inside the
    lane's stream). The answer is overwritten by what the lane does next, so it has to be on its way before."""

    def __init__(self, function: GpuFunction, pixels: Tensor, gpu_stream: GpuStream) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._pixels = pixels.to(function.device, non_blocking=True)
        # thread_local: others go on meanwhile, in their own streams
        with (
            _capturing,
            torch.cuda.graph(self._graph, gpu_stream.pool, gpu_stream.stream, capture_error_mode="thread_local"),
        ):
            self._answer = function.function(self._pixels)

    def __call__(self, pixels: Tensor) -> Tensor:
        self._pixels.copy_(pixels, non_blocking=True)
        self._graph.replay()
        return self._answer


class _UnderWay:
    """An answer on its way from the GPU into pinned memory."""

    def __init__(self, answer: Tensor, stream: torch.cuda.Stream) -> None:
        self._answer = pinned(answer.shape, answer.dtype).copy_(answer, non_blocking=True)
        self._arrived = stream.record_event()

    def answer(self) -> NDArray[np.float32]:
        self._arrived.synchronize()
        arrived: NDArray[np.float32] = self._answer.numpy()
        return arrived


def pinned(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Memory from and to which a GPU copies while the host does something else."""
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def clear_memory() -> None:
    """Give back what torch keeps of the GPUs' memory and nobody uses."""
    if torch.cuda.is_available():
        with _capturing:
            torch.cuda.empty_cache()


def clear_all_memory() -> None:
    """And what graphs hold, of all threads; while no other asks a GPU for anything."""
    for gpu_stream in list(_gpu_streams):
        gpu_stream.give_up_graphs()
    clear_memory()
