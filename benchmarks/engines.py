"""The nets of the shipped models on several CPU engines, in turns within one process.

    pip install onnx onnxscript onnxruntime openvino      (in an environment of its own, beside facetag)
    python benchmarks/engines.py --threads 2

Each net gets the inputs of its usual work: LNet_o a 300 x 300 picture at a longer side of 304, LNet_s sixteen crops,
the centre network eight pictures, ANet eight regions with all views. Every engine's answer is compared with torch's
before it is timed; medians of milliseconds, and the share of the machine's measured float32 matrix product rate that
the net's multiply-adds make of it. An engine that is not installed, or cannot have the net, says so in its place.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent))

from machine import counting, product_seconds

from facetag.model import load_model
from facetag.networks.anet import ANet

TOLERANCE = 0.05  #: of the largest value of an answer; bfloat16 lies far below it
Answer = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Work:
    """A net and what it is asked."""

    name: str
    net: nn.Module
    inputs: Tensor


class Views(nn.Module):
    """The paper's ANet over all windows of regions. Shape: (N, 3, H, W) -> (N * windows, 160)."""

    def __init__(self, anet: ANet, step: int) -> None:
        super().__init__()
        self.anet, self.step = anet, step

    def forward(self, regions: Tensor) -> Tensor:
        maps = self.anet.windows(regions, self.step)
        return self.anet.features(maps.mapped(lambda part: part.flatten(0, 2)))


def works() -> list[Work]:
    faithful, fast = load_model("faithful"), load_model("fast")
    assert faithful.lnet_o and faithful.lnet_s and fast.center_net and isinstance(faithful.anet, ANet)
    torch.manual_seed(0)

    def pictures(*shape: int) -> Tensor:
        return torch.rand(shape).contiguous(memory_format=torch.channels_last)

    return [
        Work("LNet_o, 1 x 304 x 304", faithful.lnet_o.net, pictures(1, 3, 304, 304)),
        Work("LNet_s, 16 x 195 x 195", faithful.lnet_s.net, pictures(16, 3, 195, 195)),
        Work("centre network, 8 x 256 x 256", fast.center_net, pictures(8, 3, 256, 256)),
        Work("ANet, 8 x 63 x 55, 9 views", Views(faithful.anet, 4), torch.rand(8, 3, 63, 55)),
        Work("wide ANet, 8 x 128 x 112", fast.anet, pictures(8, 3, 128, 112)),
    ]


def by_torch(work: Work) -> Answer:
    return lambda: np.asarray(work.net(work.inputs))


def by_torch_bf16(work: Work) -> Answer:
    def answer() -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16):
            return np.asarray(work.net(work.inputs).float())

    return answer


def by_torch_compile(work: Work) -> Answer:
    compiled = torch.compile(work.net)
    return lambda: np.asarray(compiled(work.inputs))


def _exported(work: Work) -> bytes:
    stream = io.BytesIO()
    torch.onnx.export(work.net, (work.inputs,), stream, opset_version=17, dynamo=False)
    return stream.getvalue()


def by_onnxruntime(work: Work) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(_exported(work), options, providers=["CPUExecutionProvider"])
    name, inputs = session.get_inputs()[0].name, np.ascontiguousarray(work.inputs.numpy())
    return lambda: np.asarray(session.run(None, {name: inputs})[0])


def by_openvino(work: Work) -> Answer:
    import openvino

    core = openvino.Core()
    limits = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(_exported(work)), "CPU", limits)
    inputs = np.ascontiguousarray(work.inputs.numpy())
    return lambda: np.asarray(compiled([inputs])[0])


ENGINES = {
    "torch": by_torch,
    "torch, bfloat16": by_torch_bf16,
    "torch.compile": by_torch_compile,
    "ONNX Runtime": by_onnxruntime,
    "OpenVINO": by_openvino,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        rate = 1 / product_seconds()
        print(f"{options.threads} threads, matrix products: {rate / 1e9:.1f} thousand million multiply-adds a second")
        for work in works():
            report(work, options.turns, rate)


def report(work: Work, turns: int, rate: float) -> None:
    with counting([work.net]) as counted:
        work.net(work.inputs)
    operations = sum(counted)
    print(f"\n{work.name}: {operations / 1e6:.0f} million multiply-adds")
    answers = prepared(work)
    times: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(turns):
        for name, answer in answers.items():
            start = time.perf_counter()
            answer()
            times[name].append(time.perf_counter() - start)
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"  {name:16} {1000 * middle:8.2f} ms  {100 * operations / rate / middle:5.1f} % of the limit")


def prepared(work: Work) -> dict[str, Answer]:
    """The engines that answer as torch does, warm."""
    expected = by_torch(work)()
    answers = {}
    for name, make in ENGINES.items():
        try:
            answer = make(work)
            far = float(np.abs(answer() - expected).max() / np.abs(expected).max())
        except Exception as error:  # noqa: BLE001 - whatever an engine cannot do is said in its place
            print(f"  {name:16} not measured: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
            continue
        if far > TOLERANCE:
            print(f"  {name:16} not measured: its answer differs by {far:.1e} of the largest value")
            continue
        print(f"  {name:16} differs by {far:.1e} of the largest value")
        answers[name] = answer
    return answers


if __name__ == "__main__":
    main()
