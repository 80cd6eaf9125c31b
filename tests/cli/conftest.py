"""What tests of commands share: the program in a folder of the test's own, and small data sets."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facetag import cli
from facetag.attributes import ATTRIBUTES


@pytest.fixture
def facetag(model_folder, tmp_path, monkeypatch, capfdbinary):
    """Runs a command in tmp_path; answers (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(command, *arguments, model=model_folder):
        code = cli.run([command, *map(str, arguments), "--model", str(model)])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def _noise(seed: int, height: int, width: int) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.imencode(".png", cv2.resize(small, (width, height)))[1].tobytes()


@pytest.fixture
def celeba(tmp_path) -> Path:
    """Six aligned pictures: two of each partition."""
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.png" for number in range(1, 7)]
    rng = np.random.default_rng(0)
    rows = [" ".join([name, *(str(value) for value in rng.choice([-1, 1], len(ATTRIBUTES)))]) for name in names]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(len(names)), " ".join(ATTRIBUTES), *rows]) + "\n")
    (root / "list_eval_partition.txt").write_text("".join(f"{name} {i // 2}\n" for i, name in enumerate(names)))
    for seed, name in enumerate(names):
        (root / "img_align_celeba" / name).write_bytes(_noise(seed, 218, 178))
    return root


@pytest.fixture
def photographs(tmp_path) -> Path:
    root = tmp_path / "photographs"
    root.mkdir()
    rows = ["file,x,y,width,height"]
    for seed in range(6):
        (root / f"{seed}.png").write_bytes(_noise(seed, 120 + seed, 160))
        rows.append(f"{seed}.png,40,20,64,80")
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    return root
