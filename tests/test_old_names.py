"""Models and recipes of before go on working: their settings are read by the names that they had then."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from facetag.model import load_model
from facetag.model_folder import description_digest
from facetag.settings import OLD_KEYS, OLD_KEYS_OF, plain, with_new_keys
from facetag.training import checkpoint
from facetag.training.recipe import FaceStage, load_recipe


def with_old_keys(values: object, table: str = "") -> object:
    """The opposite of `with_new_keys`."""
    if isinstance(values, dict):
        names = {new: old for old, new in {**OLD_KEYS, **OLD_KEYS_OF.get(table, {})}.items()}
        return {names.get(key, key): with_old_keys(item, key) for key, item in values.items()}
    return [with_old_keys(item, table) for item in values] if isinstance(values, list) else values


@pytest.mark.parametrize("kind", ["model_folder", "center_folder"])
def test_a_model_of_the_first_format_has_the_same_settings(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(request.getfixturevalue(kind), tmp_path / "old"))
    description = json.loads((folder / "model.json").read_text())
    assert description["format"] == 2
    settings = {name: with_old_keys(description[name], name) for name in ("localizer", "tagger", "training")}
    old = {**description, **settings, "format": 1}
    assert old["localizer"].keys() & OLD_KEYS.keys() and "nms_iou" not in old["localizer"]
    old["sha256"]["model.json"] = description_digest(old)
    (folder / "model.json").write_text(json.dumps(old))
    read, expected = load_model(str(folder)), load_model(str(request.getfixturevalue(kind)))
    assert (read.localizer, read.tagger, read.training) == (expected.localizer, expected.tagger, expected.training)


def test_a_recipe_with_old_keys_is_the_same_recipe(tmp_path: Path) -> None:
    old, new = tmp_path / "a" / "mine.toml", tmp_path / "b" / "mine.toml"
    for path, text in (
        (old, 'base = "faithful"\nfinder = "center_net"\n'
              '[svm]\npulls = [0, 3]\nphotographs = 0.25\n[localizer]\nheads = 3\n'
              "[localizer.head]\nheight = 40\n[center_localizer]\nside = 96\nread_side = 128\ndouble_iou = 0.5\n"),
        (new, 'base = "faithful"\nlocalizer_kind = "center_net"\n'
              '[svm]\nprior_weights = [0, 3]\nlabeled_images = 0.25\n'
              "[localizer]\nhead_regions = 3\n[localizer.head_region]\nheight = 40\n"
              "[center_localizer]\ninput_size = 96\nread_size = 128\nnms_iou = 0.5\n"),
    ):  # fmt: skip
        path.parent.mkdir()
        path.write_text(text)
    recipe = load_recipe(str(old))
    assert recipe == load_recipe(str(new))
    assert (recipe.svm.prior_weights, recipe.svm.labeled_images) == ((0, 3), 0.25)
    assert (recipe.localizer.head_regions, recipe.center_localizer.nms_iou) == (3, 0.5)


def test_a_checkpoint_of_before_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, stage = tmp_path / "anet_attributes", FaceStage(input_sizes=(67,), head_regions=3, labeled_images=2)
    folder.mkdir()
    monkeypatch.setattr(checkpoint, "plain", lambda each: with_old_keys(plain(each), "anet_attributes"))
    checkpoint.save(folder, {"step": 7}, stage.loop, stage)
    assert checkpoint.load(folder, stage.loop, stage, device=torch.device("cpu"))["step"] == 7


def test_names_of_now_stay_as_they_are() -> None:
    now = {"localizer": {"input_sizes": [67], "head_regions": 1}, "center_net": [{"scenes": {"heads": [0.5, 0.5]}}]}
    assert with_new_keys(now) == now
