"""Little files of many pixels: one row each, in bounded memory, whatever the workers; and a run that can be ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hostile import encoded
from PIL import Image
from test_memory import resident, tiny_folder  # noqa: F401 - a fixture

from facetag.images.pixels import MOST_BYTES
from facetag.results import Status

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is asked of /proc"),
]

ANSWERED = {Status.OK, Status.NO_FACE}
BESIDE = 12_000_000  #: bytes of the nets' work and of the files themselves, which an idle run has not
FACE = 20_000  #: bytes, of its record and its line; what the net sees of it would be more
SIDE = 4100  #: pixels; a little more than are decoded in Pillow's own memory


def bombs():
    grey, colour = Image.new("L", (SIDE, SIDE), 90), Image.new("RGB", (SIDE, SIDE), (90, 120, 60))
    turned = Image.Exif()
    turned[274] = 6
    deep = Image.fromarray(np.full((SIDE, SIDE), 30_000, np.uint16))
    icon = encoded(Image.new("RGB", (16, 16)), "ICO")
    frame = b"\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\0\3\x11\0"
    yield "deep.png", encoded(deep, "PNG", compress_level=1), ANSWERED
    yield "deep2.png", encoded(deep, "PNG", compress_level=1), ANSWERED
    yield "colour.png", encoded(colour, "PNG", compress_level=1, exif=turned), ANSWERED
    yield "a.gif", encoded(grey, "GIF"), ANSWERED
    yield "a.tif", encoded(colour, "TIFF", compression="tiff_lzw"), ANSWERED
    yield "a.webp", encoded(colour, "WEBP", lossless=True, method=0), {Status.TOO_LARGE}
    yield "a.avif", encoded(colour, "AVIF", speed=10), {Status.TOO_LARGE}
    yield "a.ico", icon[:18] + (22).to_bytes(4, "little") + png_of(65_535), {Status.TOO_LARGE}
    yield "a.jpg", b"\xff\xd8" + frame + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" + bytes(99), {Status.TOO_LARGE}


def png_of(side):
    data = bytearray(encoded(Image.new("RGB", (4, 4)), "PNG"))
    data[16:24] = side.to_bytes(4, "big") * 2
    return bytes(data)


def peak(folder, model, names, *words):
    """Rows by path, and kB that a run held at most beyond its pixels."""
    command = [sys.executable, "-m", "facetag", "localize", *names, "--model", str(model), "--format", "jsonl", "-q"]
    with subprocess.Popen([*command, *words], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        rows, most = [], 0
        for line in process.stdout:
            rows.append(json.loads(line))
            most = max(most, resident(process, "VmHWM"))
    return {row["path"]: row["status"] for row in rows}, most


@pytest.mark.parametrize("workers", ["1", "6"])
def test_a_row_each_in_bounded_memory(tmp_path, tiny_folder, workers):  # noqa: F811
    expected = {}
    for name, data, statuses in bombs():
        (tmp_path / name).write_bytes(data)
        expected[name] = statuses
    (tmp_path / "small.png").write_bytes(encoded(Image.new("RGB", (64, 48)), "PNG"))
    words = ("--max-pixels", str(SIDE * SIDE), "--workers", workers)
    _, idle = peak(tmp_path, tiny_folder, ["small.png"], *words)
    found, most = peak(tmp_path, tiny_folder, list(expected), *words)
    assert list(found) == list(expected)
    assert {name: status for name, status in found.items() if status not in expected[name]} == {}
    assert (most - idle) * 1024 < MOST_BYTES * SIDE * SIDE + BESIDE


def test_nobody_waits_for_a_decoder_at_a_second_ctrl_c(tmp_path, tiny_folder):  # noqa: F811
    """A decoder that takes for ever, in place of one that takes minutes."""
    program = """
import sys, time
import facetag.pipeline.loader as loader
loader.decode = lambda data, **_: print('decoding', flush=True) or time.sleep(600)
from facetag.cli import main
sys.argv = ['facetag', 'localize', 'a.png', '--model', sys.argv[1], '--out', 'out.csv']
main()
"""
    (tmp_path / "a.png").write_bytes(encoded(Image.new("RGB", (64, 48)), "PNG"))
    command = [sys.executable, "-c", program, str(tiny_folder)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "decoding\n"
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 128 + signal.SIGINT
        finally:
            process.kill()


def test_a_photograph_of_8000_faces_takes_little_memory(tmp_path, tiny_folder):  # noqa: F811
    def most(count):
        boxes = "".join(f"a.png,{index % 90},{index // 90},12,15\n" for index in range(count))
        (tmp_path / "boxes.csv").write_text(f"file,x,y,width,height\n{boxes}")
        command = [sys.executable, "-m", "facetag", "predict", "a.png", "--model", str(tiny_folder), "-q"]
        words = ["--boxes", "boxes.csv", "--out", "out.jsonl", "--overwrite"]
        with subprocess.Popen([*command, *words], cwd=tmp_path) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        faces = len(json.loads((tmp_path / "out.jsonl").read_text())["faces"])
        return process.returncode, faces, usage.ru_maxrss * 1024

    (tmp_path / "a.png").write_bytes(encoded(Image.effect_noise((120, 120), 60), "PNG"))
    few, many = most(80), most(8000)
    assert few[:2] == (0, 80) and many[:2] == (0, 8000)
    assert many[2] - few[2] < 8000 * FACE
