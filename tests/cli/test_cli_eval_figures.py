import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import run_eval as run

from facetag.attributes import ATTRIBUTES
from facetag.errors import FacetagError, UsageError
from facetag.evaluate import grouping, plots, regions

IMAGES = 60


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CelebA with an image to train nets on and IMAGES for SVMs, three of each person."""
    root = tmp_path_factory.mktemp("celeba")
    (root / "img_align_celeba").mkdir()
    rng = np.random.default_rng(0)
    names = [f"{number:06d}.png" for number in range(1, IMAGES + 2)]
    rows = [" ".join([name, *(str(value) for value in rng.choice([-1, 1], len(ATTRIBUTES)))]) for name in names]
    (root / "list_attr_celeba.txt").write_text("\n".join([str(len(names)), " ".join(ATTRIBUTES), *rows]) + "\n")
    (root / "list_eval_partition.txt").write_text("".join(f"{name} {int(i > 0)}\n" for i, name in enumerate(names)))
    (root / "identity_CelebA.txt").write_text("".join(f"{name} {i // 3}\n" for i, name in enumerate(names)))
    for name in names:
        small = rng.integers(0, 256, (6, 6, 3), np.uint8)
        cv2.imwrite(str(root / "img_align_celeba" / name), cv2.resize(small, (178, 218)))
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything."""
    monkeypatch.setattr(grouping, "SHUFFLES", 9)
    monkeypatch.setattr(regions, "ROWS", 3)
    monkeypatch.setattr(regions, "COLUMNS", 2)
    monkeypatch.setattr(plots, "DOTS", 40)


@pytest.mark.parametrize("command", ["grouping", "layers", "neurons", "regions", "reliability", "compare"])
def test_a_figure_is_numbers_and_a_picture(many, model_folder, tmp_path, command):
    drawn, numbers = tmp_path / "figure.png", tmp_path / "numbers.json"
    models = (model_folder, model_folder) if command == "compare" else ("--model", model_folder)
    mode = () if command == "grouping" else ("--mode", "crops", "--quiet", "--partition", "val")
    result = run(command, *models, "--data", many, *mode, "--json", numbers, "--picture", drawn)
    assert result.exit_code == 0 and result.stdout.startswith(("model random", "a random, b random"))
    height, width = cv2.imread(str(drawn)).shape[:2]
    assert height > 150 and width > 300
    data = json.loads(numbers.read_text())
    assert ("careful: SVMs" in result.stdout) == (command in ("reliability", "compare"))
    assert data["partition"] == "val" and data["images"] == IMAGES
    if command == "layers":
        assert set(data["nets"]["attributes"]["layers"]) == {"c3", "c4", "fc"}
        assert data["nets"]["attributes"]["persons"] == 21
    if command == "compare":
        assert data["metrics"]["accuracy"]["mean"]["difference"] == data["metrics"]["accuracy"]["mean"]["high"] == 0
    if command == "reliability":
        assert sum(data["attributes"]["Male"]["bins"]["faces"]) == IMAGES


def test_the_page_holds_all_and_asks_nobody(many, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "png_bytes", lambda figure: b"drawing takes long, and other tests do it")
    for name in [name for name in vars(plots) if name.startswith("draw_")]:
        monkeypatch.setattr(plots, name, lambda *given: None)
    out = tmp_path / "figures.html"
    options = ("--mode", "crops", "--quiet", "--model", model_folder, "--against", model_folder)
    assert run("figures", "--out", out, "--data", many, *options).exit_code == 0
    page = out.read_text()
    assert re.findall(r'<section id="(\w+)">', page) == [
        "grouping", "layers", "neurons", "regions", "reliability", "compare",
    ]  # fmt: skip
    addresses = re.findall(r'(?:src|href)="([^"]{,40})', page)
    assert len(addresses) == 19 and all(each.startswith(("data:", "#")) for each in addresses)
    assert "http:" not in page and "https:" not in page and "<script" not in page


def test_figures_of_your_own_labels(photographs, model_folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("file,Smiling,Male,identity\n" + "".join(f"{i}.png,{i % 2},1,{i // 2}\n" for i in range(6)))
    where = ("--labels", labels, "--images", photographs, "--quiet", "--json", "-")
    data = json.loads(run("reliability", "--model", model_folder, *where).stdout)
    assert data["images"] == 6 and set(data["attributes"]) <= {"Smiling", "Male"}
    data = json.loads(run("compare", model_folder, model_folder, *where).stdout)
    assert data["persons"] == 3 and data["labeled"]["Smiling"] == 6 and data["labeled"]["Bald"] == 0
    with pytest.raises(UsageError, match="--mode crops is for CelebA"):
        run("reliability", "--model", model_folder, *where, "--mode", "crops")


def test_without_matplotlib_one_line_says_how_to_have_it_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FacetagError, match=r"drawn with matplotlib; pip install 'facetag\[figures\]'"):
        run("layers", "--model", "no model is asked for", "--picture", tmp_path / "layers.png")
    with pytest.raises(FacetagError, match="drawn with matplotlib"):
        run("figures", "--model", "no model is asked for", "--out", tmp_path / "page.html")


def test_what_cannot_be_written_is_said_before_anything_is_computed(tmp_path):
    with pytest.raises(UsageError, match="a figure cannot be written as figure"):
        plots.check_figure(tmp_path / "figure.txt")
    with pytest.raises(UsageError, match="not a folder"):
        plots.check_figure(tmp_path / "nowhere" / "figure.png")
    with pytest.raises(UsageError, match="a page cannot be written as page"):
        run("figures", "--model", "no model is asked for", "--out", tmp_path / "page.txt")


def test_two_models_are_compared_or_none(model_folder):
    result = run("compare", model_folder)
    assert result.exit_code == 2 and "Missing argument 'B'" in result.stderr
