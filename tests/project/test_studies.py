"""What is kept beside the wheel for later studies: a run made of it answers as the models do."""

import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType, SimpleNamespace

import grow
import keep
import mean
import pytest
import restore
import torch
from safetensors.torch import load_file

from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.localization.center_localizer import CenterLocalizer
from facetag.model import load_model
from facetag.networks.anet import ANetSettings
from facetag.networks.anet_heads import AttributeNet
from facetag.training.checkpoint import best_state, figures, save_best
from facetag.training.recipe import load_recipe
from facetag.training.trained import trained_attribute_net, trained_center_net, trained_localizer

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
ASTRONAUT = ROOT / "examples" / "photos" / "astronaut.jpg"
FIGURES = {"accuracy": 0.5, "average_precision": 0.25}
SMALL = replace(load_recipe("fast"), anet=ANetSettings(kind="wide", widths=(4, 6, 8), normalisation="batch"))


def main_of(script: ModuleType, *arguments: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script", *map(str, arguments)])
        script.main()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("restored") / "run"
    main_of(restore, "--run", folder)
    return folder


def test_the_lnets_of_a_restored_run_answer_as_those_that_ship(run: Path) -> None:
    model, restored = load_model("faithful"), trained_localizer(run, load_recipe("faithful"), CPU)
    pictures = torch.rand(2, 3, 131, 99, generator=torch.Generator().manual_seed(0))
    for shipped, lnet in ((model.lnet_o, restored.lnet_o), (model.lnet_s, restored.lnet_s)):
        assert shipped is not None and lnet.bias == pytest.approx(shipped.bias)
        torch.testing.assert_close(lnet.weights, shipped.weights)
        torch.testing.assert_close(lnet.net(pictures), shipped.net(pictures), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["fast-box-free", "fast"])
def test_the_centre_network_of_a_restored_run_is_the_one_that_ships(run: Path, tmp_path: Path, name: str) -> None:
    if name == "fast":
        run = tmp_path / "with_boxes"
        main_of(restore, "--run", run, "--center-net", name)
    restored, model = trained_center_net(run, load_recipe(name), CPU), load_model(name)
    assert restored.settings == CenterLocalizer(model).settings
    pictures = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    assert model.center_net is not None
    torch.testing.assert_close(restored.net(pictures), model.center_net(pictures), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["faithful", "fast-box-free", "fast"])
def test_the_anet_of_a_restored_run_is_the_one_that_ships(run: Path, tmp_path: Path, name: str) -> None:
    if name == "fast":
        main_of(restore, "--run", run := tmp_path, "--center-net", name)
    restored, shipped = trained_attribute_net(run, load_recipe(name)).anet.folded().state_dict(), load_model(name).anet
    tolerance = {"rtol": 0, "atol": 0} if name == "faithful" else {"rtol": 2e-2, "atol": 2e-3}  # halves, then folded
    for key, tensor in shipped.state_dict().items():
        torch.testing.assert_close(restored[key], tensor, **tolerance, msg=key)


def test_older_nets_make_a_run_as_well(run: Path, tmp_path: Path) -> None:
    main_of(restore, "--run", tmp_path, "--nets", "objects")
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in run.iterdir()}
    (faces,) = trained_localizer(tmp_path, load_recipe("faithful"), CPU).dominant([read_image(str(ASTRONAUT)).pixels])
    assert faces[0].box.iou(Box(180, 60, 90, 120)) > 0.4
    for stage, weight in (("lnet_o", "lnet.layers.0.weight"), ("anet_attributes", "anet.c1.weight")):
        ours, theirs = (load_file(folder / stage / "best.safetensors")[weight] for folder in (run, tmp_path))
        assert not torch.equal(ours, theirs), stage
        assert figures(run / stage) != figures(tmp_path / stage), stage


def test_what_a_run_has_already_stays_as_it_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    main_of(restore, "--run", run)
    assert len(before) == 7 and before == {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    assert capsys.readouterr().out.count("stays as it is") == 7


def test_what_is_kept_of_a_restored_run_is_what_it_was_made_of(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "HERE", tmp_path)
    main_of(keep, "--run", run)
    main_of(keep, "--run", run, "--center-net")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "figures.json",
        *(f"{name}.safetensors" for name in ("lnet_plus", "anet_identities", "heads", "center_net", "anet_center_net")),
    }
    assert all((tmp_path / name).read_bytes() == (ROOT / "studies" / name).read_bytes() for name in names)


def test_what_is_kept_of_fast_is_not_taken_for_that_of_fast_box_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main_of(restore, "--run", tmp_path / "run", "--center-net", "fast")
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(keep, "HERE", tmp_path / "kept")
    main_of(keep, "--run", tmp_path / "run", "--center-net")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    assert set(kept) == {"center_net_with_boxes.safetensors", "anet_deep.safetensors"}
    assert all(data == (ROOT / "studies" / name).read_bytes() for name, data in kept.items())


def test_a_grown_net_answers_as_the_old_one() -> None:
    torch.manual_seed(0)
    small = ANetSettings(kind="wide", widths=(4, 6, 8), blocks=(1, 1, 0), normalisation="batch")
    old = AttributeNet(5, small).eval()
    for module in old.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.normal_(std=0.1)
    state = old.state_dict()
    new = grow.grown(AttributeNet(5, replace(small, blocks=(2, 2, 0))), state).eval()
    regions = torch.rand(2, 3, 128, 112)
    torch.testing.assert_close(new(regions), old(regions))
    shared = {name: t[: len(t) // 20] if name.startswith("anet.c3.norm") and t.ndim else t for name, t in state.items()}
    spread = grow.grown(AttributeNet(5, small), shared).state_dict()["anet.c3.norm.weight"]
    assert torch.equal(spread, shared["anet.c3.norm.weight"].repeat(20))
    with pytest.raises(ValueError, match="no place for"):
        grow.grown(AttributeNet(5, replace(small, blocks=(0, 0, 0))), state)


def test_a_mean_lies_between_two_nets_and_has_the_rest_of_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mean, "load_recipe", lambda name: SMALL)
    monkeypatch.setattr(mean, "face_data", lambda folder, stage: folder.root)
    monkeypatch.setattr(mean, "face_task", lambda *words: SimpleNamespace(validate=lambda net, device: FIGURES))
    for number in (1, 2):
        net = AttributeNet(40, SMALL.anet)
        net.anet.stem[1].num_batches_tracked.fill_(number)  # type: ignore[index, union-attr, operator]
        (tmp_path / f"run{number}" / mean.STAGE).mkdir(parents=True)
        save_best(tmp_path / f"run{number}" / mean.STAGE, net, {"accuracy": 0.1})
        (tmp_path / f"run{number}" / "proposals").write_text(str(number))
    folders = {"--first": tmp_path / "run1", "--second": tmp_path / "run2", "--run": tmp_path / "between"}
    main_of(mean, "--data", tmp_path, "--fraction", "0.3", *chain.from_iterable(folders.items()))
    first, second, between = (best_state(folder / mean.STAGE) for folder in folders.values())
    for name, tensor in between.items():
        expected = 0.7 * first[name] + 0.3 * second[name] if tensor.is_floating_point() else second[name]
        torch.testing.assert_close(tensor, expected, msg=name)
    assert figures(tmp_path / "between" / mean.STAGE) == {"epoch": 0, "step": 0, **FIGURES}
    assert (tmp_path / "between" / "proposals").read_text() == "1"
