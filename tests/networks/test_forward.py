"""Fixed groups, and how a GPU is asked; what only a GPU can show is marked so."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from facetag.localization.center_localizer import CenterLocalizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.networks.anet import ANet
from facetag.networks.execution import gpu
from facetag.networks.execution.forward import Forward
from facetag.networks.execution.gpu import MOST_GRAPHS, RECURRING, GpuFunction
from facetag.tagger import FeatureExtractor, TaggerSettings
from models import center_model, random_model

CPU = torch.device("cpu")


def pictures(count: int, side: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def mean(images: torch.Tensor) -> torch.Tensor:
    """Of the pixels of a picture whose channels come first."""
    assert images.shape[-3] == 3
    return images.mean((-1, -2, -3))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8])
def test_groups_are_filled_up_and_what_filled_them_is_not_answered(count):
    seen = []

    def counted(images):
        seen.append(len(images))
        return mean(images)

    given = pictures(count)
    answers = list(Forward(counted, CPU)(given, 4))
    np.testing.assert_allclose(answers, given.mean((1, 2, 3)) / 255, rtol=1e-6)
    assert seen == [4] * -(-count // 4)


def test_dimensions_before_the_picture_stay():
    given = np.stack([pictures(2, seed=seed) for seed in range(3)])
    answers = list(Forward(mean, CPU)(given, 2))
    np.testing.assert_allclose(answers, given.mean((2, 3, 4)) / 255, rtol=1e-6)


def test_no_group_is_looked_at_before_its_answers_are_wanted():
    seen = []
    answers = Forward(lambda images: (seen.append(1), mean(images))[1], CPU)(pictures(6), 2)
    assert not seen
    next(answers)
    assert len(seen) == 1


def test_half_is_bfloat16_inside_and_float32_outside():
    inside = []

    def answer(images):
        inside.append(nn.functional.conv2d(images, torch.ones(1, 3, 1, 1)).dtype)
        return images[:, 0, 0, 0].to(torch.bfloat16)

    for half in (False, True):
        (found,) = Forward(answer, CPU, half)(pictures(1), 1)
        assert found.dtype == np.float32
    assert inside == [torch.float32, torch.bfloat16]


class Stream:
    """Of a GPU that is never busy."""

    def __init__(self, device=None):
        self.device = device

    def synchronize(self): ...

    def record_event(self):
        return self


class Graph:
    """Answers like CUDA's: always in the same memory, which the next one overwrites."""

    made: list[tuple[int, ...]]

    def __init__(self, function, pixels, lane):
        Graph.made.append(tuple(pixels.shape))
        self.function, self.pixels = function.function, pixels.clone()
        self.answer = self.function(self.pixels)

    def __call__(self, pixels):
        self.pixels.copy_(pixels)
        return self.answer.copy_(self.function(self.pixels))


@pytest.fixture
def idle_gpu(monkeypatch):
    """The calls of CUDA, answered by this processor."""
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(gpu, "pinned", lambda shape, dtype: torch.empty(shape, dtype=dtype))
    monkeypatch.setattr(gpu, "Graph", Graph)
    monkeypatch.setattr(gpu, "_own", gpu.threading.local())
    Graph.made = []


def summed(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float().sum((1, 2, 3))


@pytest.mark.usefixtures("idle_gpu")
def test_answers_come_in_order_while_others_are_under_way():
    groups = [pictures(2, seed=seed) for seed in range(7)]
    asked = []

    def given():
        for number, group in enumerate(groups):
            asked.append(number)
            yield group

    answers = GpuFunction(summed, CPU)(given())
    first = next(answers)
    assert asked == [0, 1, 2]
    found = [first, *answers]
    assert len(Graph.made) == 1  # most of these were a graph's, each with memory of its own
    np.testing.assert_array_equal(found, [group.sum((1, 2, 3), dtype=float) for group in groups])


@pytest.mark.usefixtures("idle_gpu")
def test_a_shape_gets_its_graph_when_it_recurs():
    function = GpuFunction(summed, CPU)
    for turn in range(RECURRING + 2):
        list(function([pictures(2), pictures(2, side=6)]))
        assert len(Graph.made) == (2 if turn + 1 >= RECURRING else 0)
    assert Graph.made == [(2, 5, 5, 3), (2, 6, 6, 3)]


@pytest.mark.usefixtures("idle_gpu")
def test_so_many_shapes_get_graphs_and_no_more():
    function = GpuFunction(summed, CPU)
    for side in range(1, MOST_GRAPHS + 9):
        list(function([pictures(1, side)] * RECURRING))
    assert len(Graph.made) == MOST_GRAPHS


@pytest.mark.usefixtures("idle_gpu")
def test_what_waits_for_the_gpu_gets_no_graph():
    list(GpuFunction(summed, CPU, graphs=False)([pictures(2)] * 9))
    assert not Graph.made


@pytest.mark.usefixtures("idle_gpu")
def test_each_thread_has_its_own_graphs():
    function = GpuFunction(summed, CPU)
    with ThreadPoolExecutor(1) as other:
        for _ in range(2):
            list(function([pictures(2)] * RECURRING))
            other.submit(lambda: list(function([pictures(2)] * RECURRING))).result()
    assert Graph.made == [(2, 5, 5, 3)] * 2


@pytest.mark.usefixtures("idle_gpu")
def test_graphs_go_where_memory_runs_out_and_none_is_made_any_more():
    room = [True]

    def hungry(pixels):
        if not room[0]:
            raise torch.OutOfMemoryError("no memory")
        return summed(pixels)

    function = GpuFunction(hungry, CPU)
    list(function([pictures(2)] * RECURRING))
    room[0] = False
    with pytest.raises(torch.OutOfMemoryError):
        list(function([pictures(2, side=9)]))
    room[0] = True
    for _ in range(2 * RECURRING):
        (found,) = function([pictures(2)])
        np.testing.assert_array_equal(found, pictures(2).sum((1, 2, 3), dtype=float))
    assert len(Graph.made) == 1


@pytest.mark.usefixtures("idle_gpu")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), RuntimeError("capture was disturbed")])
def test_what_cannot_be_captured_is_answered_without(monkeypatch, caplog, error):
    def fails(*arguments):
        raise error

    monkeypatch.setattr(gpu, "Graph", fails)
    found = list(GpuFunction(summed, CPU)([pictures(2)] * 2 * RECURRING))
    np.testing.assert_array_equal(found, [pictures(2).sum((1, 2, 3), dtype=float)] * 2 * RECURRING)
    assert caplog.messages == [f"goes on without CUDA graphs: {error}"]


@pytest.mark.usefixtures("idle_gpu")
def test_all_threads_graphs_go_when_all_memory_is_wanted():
    function = GpuFunction(summed, CPU)
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: list(function([pictures(2)] * RECURRING))).result()
        list(function([pictures(2)] * RECURRING))
        gpu.clear_all_memory()
        list(function([pictures(2)] * RECURRING))
        other.submit(lambda: list(function([pictures(2)] * RECURRING))).result()
    assert len(Graph.made) == 2


@pytest.mark.usefixtures("idle_gpu")
def test_nobody_keeps_a_function_of_a_net_that_is_gone():
    """Graphs are to go at once, not when cycles are sought, perhaps in the middle of a capture."""
    gc.disable()
    try:
        kept = [Forward(mean, CPU), FeatureExtractor(ANet(), TaggerSettings()), CenterLocalizer(center_model())]
        kept.append(LNetLocalizer(random_model()))
        kept[-1].head_regions([np.zeros((80, 90, 3), np.uint8)])
        known = [weakref.ref(each) for each in kept]
        del kept
        assert [each() for each in known] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.usefixtures("idle_gpu")
def test_graphs_go_with_their_function():
    function = GpuFunction(summed, CPU)
    list(function([pictures(2)] * RECURRING))
    lane = gpu.gpu_stream_of_this_thread(CPU)
    assert len(lane._repeats) == 1
    del function
    gc.collect()
    assert not lane._repeats


@pytest.mark.gpu
def test_a_graph_answers_as_its_function_does_and_threads_do_not_mix():
    cuda = torch.device("cuda")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten()).to(cuda).requires_grad_(False)
    plain, by_graphs = Forward(net, cuda, graphs=False), Forward(net, cuda)
    batches = [pictures(20, side, seed) for seed in range(6) for side in (24, 32)]
    expected = [np.stack(list(plain(batch, 4))) for batch in batches]

    def answered(_):
        return [np.stack(list(by_graphs(batch, 4))) for batch in batches]

    with ThreadPoolExecutor(3) as threads:
        for found in threads.map(answered, range(9)):
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    assert answered(0)[0].shape == (20, 4 * 20 * 20)


@pytest.mark.gpu
def test_what_does_not_fit_leaves_a_gpu_that_answers():
    cuda = torch.device("cuda")

    def growing(images):
        if images.shape[-1] > 100:
            torch.empty(1 << 50, dtype=torch.uint8, device=cuda)
        return images.mean((1, 2, 3))

    forward = Forward(growing, cuda)
    small = pictures(4, 24)
    expected, *_ = [list(forward(small, 2)) for _ in range(RECURRING)]
    with pytest.raises(torch.OutOfMemoryError):
        list(forward(pictures(2, 128), 2))
    gpu.clear_memory()
    assert list(forward(small, 2)) == expected
