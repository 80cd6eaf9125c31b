"""Every training command's function in the paper's order on a tiny made data set, to a model that predicts."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from readback import read_csv
from torch import Tensor

from facetag import cli
from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.datasets.celeba import load_celeba
from facetag.datasets.detection_scenes import TIGHT_FACE, DetectionSceneSettings
from facetag.datasets.scenes import ALIGNED_FACE, SceneSettings
from facetag.datasets.utkface import CHIP_FACE
from facetag.datasets.webfaces import load_webfaces
from facetag.errors import DataError, ExitCode, UsageError
from facetag.geometry import Box
from facetag.localization.center_localizer import CenterLocalizer, CenterLocalizerSettings, localizer_of
from facetag.localization.lnet_localizer import LNetLocalizer, LocalizerSettings
from facetag.model import load_model
from facetag.networks.anet import ANet, ANetSettings
from facetag.networks.lnet import HeadSettings, LNetSettings
from facetag.networks.losses import attribute_loss
from facetag.networks.teacher_net import TeacherSettings
from facetag.settings import plain
from facetag.training import cascade, checkpoint, finetune, proposed, ship
from facetag.training import trained as trained_nets
from facetag.training.card import model_card
from facetag.training.data import DataFolder
from facetag.training.examples import VALIDATION_EPOCH, MixedFaces, as_chip
from facetag.training.fit import Fitted
from facetag.training.loop import LoopSettings, Outcome, RunOptions
from facetag.training.pretrain import IdentityTask, ObjectTask, pretrain_anet, pretrain_lnet
from facetag.training.recipe import (
    CenterNetStage,
    CropStage,
    FaceStage,
    FitStage,
    IdentityStage,
    JitterSettings,
    ObjectStage,
    Recipe,
    SceneStage,
)
from facetag.training.train_center_net import CenterNetTask, detection_composers
from models import NARROW, random_model

LOOP = LoopSettings(epochs=1, batch=4, rate=1e-3)
HEAD = HeadSettings(pooling="average", hidden=(), dropout=0.0)
SCENES = SceneSettings(input_size=67, heads=(0.3, 0.7))
RECIPE = Recipe(
    name="tiny",
    lnet=LNetSettings("batch"),
    lnet_plus=ObjectStage(input_size=67, held_out=0.25, head=HEAD, loop=LOOP),
    lnet_o=SceneStage(held_out=0.5, head=HEAD, scenes=SCENES, loop=LOOP),
    lnet_s=CropStage(start="lnet_o", held_out=0.5, input_size=67, head=HEAD, scenes=SCENES, loop=LOOP),
    anet_identities=IdentityStage(people=2, images=2, held_out=0.5, loop=LOOP),
    anet_attributes=FaceStage(held_out=0.5, loop=LOOP),
    svm=FitStage(costs=(0.001,), folds=2),
    localizer=LocalizerSettings(input_sizes=(67,), crop_size=67, head_regions=2, score=0.0),
)
FIRST = CenterNetStage(
    held_out=0.5, scenes_per_epoch=12, small_size=32, small_epochs=1, validation=6,
    scenes=DetectionSceneSettings(input_size=64), net=NARROW, loop=replace(LOOP, epochs=2),
)  # fmt: skip
#: Behind a centre network, which six steps teach to answer everywhere alike: what it finds is small.
CENTER_NET = replace(
    RECIPE,
    name="taught",
    note="Taught by toys.",
    localizer_kind="center_net",
    center_net=FIRST,
    anet_attributes=replace(RECIPE.anet_attributes, start="nothing", labeled_images=2, utkface=1),
    svm=replace(RECIPE.svm, labeled_images=0.5, utkface=True, equal_error=("Male",)),
    center_localizer=CenterLocalizerSettings(input_size=64, least=-9.0, score=0.0),
)
OPTIONS = RunOptions(workers=0)
PHOTOGRAPHS = 16
CHIPS = 30
STAGES = ("lnet_plus", "anet_identities", "lnet_o", "lnet_s", "anet_attributes")
PROPOSALS = ("heads_train", "heads_validation", "faces_train", "faces_validation", "faces_svm")

#: (partition, identities, images of each)
PARTS = ((0, range(1, 7), 3), (1, range(11, 15), 3), (2, range(21, 24), 2))


def face(identity: int, rng: np.random.Generator) -> np.ndarray:
    """A drawn face in the aligned frame; the identity has its own skin, the picture its own light."""
    own = np.random.default_rng(identity)
    picture = np.full((218, 178, 3), rng.integers(0, 256, 3), np.uint8)
    cv2.ellipse(picture, (89, 132), (46, 58), 0, 0, 360, own.integers(120, 256, 3).tolist(), -1)
    for x in (69, 108):
        cv2.circle(picture, (x, 112), 7, own.integers(0, 90, 3).tolist(), -1)
    cv2.line(picture, (72, 152), (106, 152), (160, 30, 30), 4)
    return picture


def scribble(rng: np.random.Generator) -> np.ndarray:
    picture = np.full((90, 110, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(4):
        cv2.line(
            picture,
            rng.integers(0, 90, 2).tolist(),
            rng.integers(0, 90, 2).tolist(),
            rng.integers(0, 256, 3).tolist(),
            5,
        )
    return picture


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def download(root: Path) -> None:
    """What a user might have: CelebA's files in one folder, pictures of two objects, and scenes."""
    rng = np.random.default_rng(0)
    rows = [(partition, identity) for partition, people, images in PARTS for identity in people for _ in range(images)]
    names = [f"{number:06d}.jpg" for number in range(1, len(rows) + 1)]
    for name, (_, identity) in zip(names, rows, strict=True):
        save(root / "celeba" / "img_align_celeba" / name, face(identity, rng))
    labels = np.where(rng.random((len(rows), len(ATTRIBUTES))) < 0.5, 1, -1)
    lines = [f"{name} {' '.join(map(str, row))}" for name, row in zip(names, labels.tolist(), strict=True)]
    texts = {
        "list_attr_celeba": [str(len(rows)), " ".join(ATTRIBUTES), *lines],
        "list_eval_partition": [f"{name} {row[0]}" for name, row in zip(names, rows, strict=True)],
        "identity_CelebA": [f"{name} {row[1]}" for name, row in zip(names, rows, strict=True)],
    }
    for stem, text in texts.items():
        (root / "celeba" / f"{stem}.txt").write_text("\n".join(text) + "\n")
    for number in range(8):
        save(root / "objects" / "lines" / f"{number}.png", scribble(rng))
        save(root / "objects" / "noise" / f"{number}.png", rng.integers(0, 256, (80, 80, 3), np.uint8))
    for number in range(4):
        save(root / "scenes" / f"{number}.png", scribble(rng))


@dataclass(frozen=True)
class Trained:
    data: Path
    run: Path
    model: Path
    fitted: Fitted


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    """The fits are too small to start processes for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder, arranged by the command."""
    have, folder = tmp_path_factory.mktemp("download"), tmp_path_factory.mktemp("data")
    download(have)
    for kind, source, place in (
        ("celeba", "celeba", "celeba"),
        ("objects", "objects", "objects/toys"),
        ("backgrounds", "scenes", "backgrounds/scenes"),
    ):
        assert cli.run(["data", "arrange", kind, str(have / source), str(folder / place)]) == ExitCode.OK
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All stages, each by the function of its command."""
    run = tmp_path_factory.mktemp("run")
    for stage in (
        pretrain_lnet, pretrain_anet, cascade.finetune_lnet_o, cascade.finetune_lnet_s, cascade.finetune_anet,
    ):  # fmt: skip
        outcome = stage(data, run, RECIPE, OPTIONS)
        assert outcome.finished and 2 <= outcome.steps <= 4
    fitted = ship.fit_svm(data, run, RECIPE, OPTIONS, run / "model")
    return Trained(data, run, run / "model", fitted)


def test_the_commands_arrange_and_check_the_data(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    said = {}
    for kind, place in (("celeba", "celeba"), ("objects", "objects/toys"), ("backgrounds", "backgrounds/scenes")):
        assert cli.run(["data", "check", kind, str(data / place)]) == ExitCode.OK
        said[kind] = capsys.readouterr().out
    assert "36 images with labels: 18 to train nets, 12 for SVMs, 6 to test" in said["celeba"]
    assert "13 identities" in said["celeba"]
    assert said["objects"] == "16 images in 2 classes, 8 to 8 in each\n"
    assert said["backgrounds"] == "4 images\n"


def test_a_card_says_how_many_images_at_half_their_size_anet_saw(taught: Trained) -> None:
    model = load_model(str(taught.model))
    data = {**model.training["data"], "celeba": {"nets": 18, "half": 7, "svms": 12}}
    card = model_card(replace(model, training={**model.training, "data": data}))
    assert "18 images train nets,\n  7 at half their size ANet too, 12 others SVMs." in card


def test_every_stage_leaves_its_files(trained: Trained) -> None:
    for stage in STAGES:
        assert {path.name for path in (trained.run / stage).iterdir()} == {
            "checkpoint.pt", "best.safetensors", "metrics.jsonl",
        }  # fmt: skip
        rows = [json.loads(line) for line in (trained.run / stage / "metrics.jsonl").read_text().splitlines()]
        assert "validation" in rows[-1] and all(row["stage"] == stage for row in rows)
    assert {path.stem for path in (trained.run / "proposals").iterdir()} == set(PROPOSALS)


def test_the_model_loads_verified_and_says_how_it_was_made(trained: Trained) -> None:
    model = load_model(str(trained.model))
    record = model.training
    assert record["recipe"] == json.loads(json.dumps(plain(RECIPE)))
    assert set(record["validation"]) == set(record["settings_checked"]) == set(STAGES)
    assert record["data"] == {
        "celeba": {"nets": 18, "svms": 12},
        "objects": {"images": 16, "classes": 2},
        "backgrounds": {"images": 4, "groups": 1},
        "sets": ["scenes", "toys"],
    }
    assert record["svm"]["faces"] + record["svm"]["without_a_box"] == 12 and record["svm"]["faces"] > 0
    assert record["svm"]["cross_fitted_accuracy"] == pytest.approx(trained.fitted.accuracy)
    card = (trained.model / "CARD.md").read_text()
    assert "Recipe `tiny`" in card and "18 images train nets, 12 others SVMs" in card
    assert "  - toys (terms: see its owner)" in card and "ImageNet" not in card
    assert model.svm.weights.shape[0] == len(model.thresholds) == len(ATTRIBUTES)


def test_the_model_predicts(trained: Trained, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for name in ("a.png", "b.png"):
        save(tmp_path / name, face(30, rng))
    out = tmp_path / "tags.csv"
    inputs = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert cli.run(["predict", *inputs, "--model", str(trained.model), "--out", str(out), "-q"]) == ExitCode.OK
    records = read_csv(out.read_text())
    assert [(Path(record.path).name, record.status) for record in records] == [("a.png", "ok"), ("b.png", "ok")]
    for record in records:
        assert record.faces and (record.width, record.height) == (178, 218)
        for found in record.faces:
            assert tuple(found.probabilities) == ATTRIBUTES and set(found.tags) <= set(ATTRIBUTES)
            assert all(0 <= probability <= 1 for probability in found.probabilities.values())


def test_finetune_all_with_resume_trains_nothing_again(trained: Trained, tmp_path: Path) -> None:
    def files() -> dict[str, tuple[int, bytes]]:
        kept = [path for path in trained.run.rglob("*") if path.is_file() and trained.model not in path.parents]
        # metrics are written anew up to the checkpoint's step, with the same rows
        times = {path: 0 if path.name == "metrics.jsonl" else path.stat().st_mtime_ns for path in kept}
        return {str(path): (times[path], path.read_bytes()) for path in kept}

    before, said = files(), []
    options = replace(OPTIONS, resume=True, report=said.append)
    outcome = cascade.finetune_all(trained.data, trained.run, RECIPE, options, tmp_path / "again")
    assert files() == before
    assert outcome.finished and outcome.best == trained.fitted.accuracy
    assert {row["stage"] for row in said} == {"features"}  # neither a step nor a proposal
    assert load_model(str(tmp_path / "again")).training == load_model(str(trained.model)).training


def test_what_is_begun_anew_does_not_go_on_from_an_older_training(tmp_path: Path) -> None:
    said: list[tuple[str, bool]] = []

    def stage(name: str, finishes: bool, options: RunOptions) -> Outcome:
        said.append((name, options.resume))
        (tmp_path / name / checkpoint.CHECKPOINT).write_text("of now")
        return Outcome(finishes, 1, 0.5)

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / checkpoint.CHECKPOINT).write_text("of an older training")
    stages = {"a": partial(stage, "a", False), "b": partial(stage, "b", True)}
    assert not cascade._one_after_another(stages, tmp_path, OPTIONS).finished  # stopped in its first stage
    stages["a"] = partial(stage, "a", True)
    assert cascade._one_after_another(stages, tmp_path, replace(OPTIONS, resume=True)).finished
    assert said == [("a", False), ("a", True), ("b", False)]


@pytest.mark.parametrize("missing", ["lnet_plus", "anet_identities"])
def test_a_start_that_is_missing_is_said_before_hours_of_other_stages(
    trained: Trained, tmp_path: Path, missing: str
) -> None:
    for name in {"lnet_plus", "anet_identities"} - {missing}:
        shutil.copytree(trained.run / name, tmp_path / name)
    with pytest.raises(DataError, match=f"{missing}/best.safetensors does not exist"):
        cascade.finetune_all(trained.data, tmp_path, RECIPE, OPTIONS, tmp_path / "out")
    assert not (tmp_path / "lnet_o").exists()


def test_a_stage_of_another_recipe_is_refused_before_the_svms_are_fitted(trained: Trained, tmp_path: Path) -> None:
    other = replace(RECIPE, lnet_s=replace(RECIPE.lnet_s, shift=0.3))
    with pytest.raises(DataError, match=r"^stage lnet_s: .*other settings; use its recipe, or train lnet_s again$"):
        ship.fit_svm(trained.data, trained.run, other, OPTIONS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_an_old_or_absent_checkpoint_cannot_say_is_not_held_against_it(tmp_path: Path) -> None:
    (tmp_path / "lnet_o").mkdir()
    (tmp_path / "lnet_s").mkdir()
    checkpoint.save_best(tmp_path / "lnet_s", torch.nn.Linear(1, 1), {"step": 1})  # its checkpoint was deleted
    checkpoint.save_best(tmp_path / "lnet_o", torch.nn.Linear(1, 1), {"step": 2})
    checkpoint.save(tmp_path / "lnet_o", {}, RECIPE.lnet_o.loop)  # as before stages were saved beside the loop
    record = ship.training_record(tmp_path, replace(RECIPE, lnet_o=replace(RECIPE.lnet_o, any_weight=5.0)))
    assert record["settings_checked"] == ["lnet_o"]
    assert record["validation"] == {"lnet_o": {"step": 2}, "lnet_s": {"step": 1}}
    other = replace(RECIPE, lnet_o=replace(RECIPE.lnet_o, loop=replace(LOOP, rate=0.5)))
    with pytest.raises(DataError, match="stage lnet_o: "):
        ship.training_record(tmp_path, other)


def test_proposals_are_made_anew_in_another_precision_or_on_other_backgrounds(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def propose(what: str) -> Any:
        return lambda *_: made.append(what) or np.zeros((1, 5), np.float32)

    monkeypatch.setattr(proposed, "propose_faces", propose("faces"))
    monkeypatch.setattr(proposed, "propose_head_regions", propose("heads"))
    model, nets = random_model(), DataFolder(data).celeba().subset(0)
    whole, half = LNetLocalizer(model), LNetLocalizer(model, half=True)
    for localizer in (whole, whole, half, half):
        proposed.proposed_faces(tmp_path, "train", localizer, nets.paths, OPTIONS)
    assert made == ["faces", "faces"]
    for groups in ([["a/1.png", "a/2.png"]], [["b/1.png", "b/2.png"]], [["a/1.png"], ["a/2.png"]], [["a/1.png"]]):
        scenes = finetune.composer(nets, groups, SCENES, 0)
        proposed.proposed_head_regions(tmp_path, "train", whole, scenes, 1, OPTIONS)
    assert made[2:] == ["heads"] * 3  # a folder that moved holds the same pictures


def refuse_to_propose(*_: Any) -> None:
    raise AssertionError("proposed before the data was looked at")


def without_partition_1(data: Any) -> Any:
    return data.select(data.partition != 1)


def without_identities(data: Any) -> Any:
    return replace(data, identity_ids=None)


@pytest.mark.parametrize(
    ("change", "folds", "message"),
    [
        (without_partition_1, 2, "has no CelebA picture of partition 1"),
        (without_identities, 2, r"no identity_CelebA\.txt"),
        (lambda data: data, 5, "4 identities are too few for the recipe's 5 folds"),
    ],
)
def test_fit_svm_looks_at_the_data_before_it_proposes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, folds: int, message: str
) -> None:
    monkeypatch.setattr(DataFolder, "celeba", lambda folder: change(load_celeba(folder.root / "celeba")))
    monkeypatch.setattr(trained_nets, "trained_localizer", refuse_to_propose)
    recipe = replace(RECIPE, svm=replace(RECIPE.svm, folds=folds))
    with pytest.raises(DataError, match=message) as refused:
        ship.fit_svm(data, tmp_path, recipe, OPTIONS, tmp_path / "model")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("share", "use"), [(0.0, "validate"), (1.0, "train")])
def test_a_stage_that_would_train_or_validate_on_nothing_is_refused(data: Path, share: float, use: str) -> None:
    folder = DataFolder(data)
    celeba = folder.celeba()
    boxes = np.tile(np.array([43, 74, 92, 116, 1], np.float32), (18, 1))
    identities = replace(RECIPE.anet_identities, held_out=share)
    message = rf"held_out = {share} leaves none of 18 pictures of partition 0 to {use} on; change held_out"
    with pytest.raises(DataError, match=message):
        IdentityTask(celeba.subset(0), boxes, RECIPE.anet, RECIPE.tagger, identities)
    with pytest.raises(DataError, match=message):
        finetune.scene_task(celeba, folder.backgrounds(), replace(RECIPE.lnet_o, held_out=share), RECIPE.lnet)
    with pytest.raises(DataError, match=message):
        cascade.finetune_anet(data, data, replace(RECIPE, anet_attributes=FaceStage(held_out=share)), OPTIONS)
    with pytest.raises(DataError, match=rf"leaves none of 16 object pictures to {use} on"):
        ObjectTask(folder.objects(), RECIPE.lnet, replace(RECIPE.lnet_plus, held_out=share))


@pytest.mark.parametrize(("jittered", "use"), [(True, "train"), (False, "validate")])
def test_faces_that_the_lnets_found_nowhere_are_refused(data: Path, jittered: bool, use: str) -> None:
    nets = DataFolder(data).celeba().subset(0)
    nowhere = np.full((len(nets), 5), np.nan, np.float32)
    with pytest.raises(DataError, match=rf"no face was found in any of 18 pictures to {use} ANet on; .*held_out"):
        finetune.face_examples(nets, nowhere, RECIPE.tagger, ANet.frame, RECIPE.anet_attributes, jittered)


@pytest.fixture(scope="module")
def photographs(data: Path) -> Path:
    """Photographs of drawn faces in data/webfaces, some of each half; their boxes say nothing."""
    folder, rng = data / "webfaces", np.random.default_rng(9)
    rows = ["file,x,y,width,height"]
    for number in range(PHOTOGRAPHS):
        save(folder / f"{number}.png", np.pad(face(40 + number, rng), ((0, 20), (60, 60), (0, 0)), "edge"))
        rows.append(f"{number}.png,0,0,1,1")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    labelled = [f"{number}.png,{number % 2}," for number in range(PHOTOGRAPHS)]
    (folder / "tags.csv").write_text("\n".join(["file,Male,Smiling", *labelled]) + "\n")
    for number in range(CHIPS):
        chip = np.random.default_rng(number).integers(0, 256, (200, 200, 3), np.uint8)
        save(data / "utkface" / f"{3 * number}_{number % 2}_0_{number}.png", chip)
    for number in range(4):
        save(data / "identities" / "people" / "a" / f"{number}.png", face(70, rng)[:200, :160])
    rows = ["file,x,y,width,height", "a/0.png,40,100,80,50", "a/1.png,1,1,9,9", "a/1.png,5,5,9,9"]
    (data / "identities" / "people" / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def taught(trained: Trained, photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of the same nets, its centre network trained, and the model behind it."""
    run = tmp_path_factory.mktemp("taught") / "run"
    shutil.copytree(trained.run, run, ignore=shutil.ignore_patterns("model"))
    outcome = cascade.train_center_net(trained.data, run, CENTER_NET, OPTIONS)
    assert outcome.finished and outcome.steps == 6 and 0 <= outcome.best <= 1
    assert cascade.finetune_anet(trained.data, run, CENTER_NET, OPTIONS).finished
    fitted = ship.fit_svm(trained.data, run, CENTER_NET, OPTIONS, run / "model")
    return Trained(trained.data, run, run / "model", fitted)


def test_a_centre_network_leaves_the_files_of_a_stage_and_its_pictures(taught: Trained) -> None:
    for stage in ("center_net", "anet_attributes_center_net"):
        assert {path.name for path in (taught.run / stage).iterdir()} == {
            "checkpoint.pt", "best.safetensors", "metrics.jsonl",
        }  # fmt: skip
    assert {path.stem for path in (taught.run / "proposals").iterdir()} == {
        *PROPOSALS, "faces_train_center_net", "faces_validation_center_net", "faces_labelled_center_net",
        "faces_svm_center_net", "faces_calibration_center_net",
    }  # fmt: skip
    assert {path.name for path in (taught.run / "pictures").iterdir()} == {
        "scenes", "train", "validation", "tight_utkface", "tight_people",
    }  # fmt: skip


def tuning_half(data: Path) -> list[str]:
    return [str(photograph.path) for photograph in load_webfaces(data / "webfaces").of_half("tune")]


def test_photographs_are_shown_beside_celeba_with_the_labels_that_they_have(
    taught: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(cascade, "train", lambda task, *_: begun.append(task))
    for photographs in (0, 2):
        stage = replace(CENTER_NET.anet_attributes, labeled_images=photographs, utkface=0)
        cascade.finetune_anet(taught.data, taught.run, replace(CENTER_NET, anet_attributes=stage), OPTIONS)
    alone, next_to = (task.examples for task in begun)
    shown, _ = DataFolder(taught.data).labeled_images("train")
    assert len(next_to) == len(alone) + 2 * len(shown)
    assert isinstance(next_to, MixedFaces) and next_to.others.paths == shown
    males = [float(int(Path(path).stem) % 2) for path in shown]
    assert [next_to[0, len(alone) + index][1][ATTRIBUTES.index("Male")].item() for index in range(len(shown))] == males
    others = np.delete(next_to.others.targets.numpy(), ATTRIBUTES.index("Male"), axis=1)
    assert (others == -1).all()
    assert len(begun[0].validation) == len(begun[1].validation)


def test_a_model_names_the_sets_that_it_learned_from(data: Path, tmp_path: Path) -> None:
    for name in ("objects/caltech101/owl", "objects/toys/ball", "backgrounds/hills"):
        save(tmp_path / name / "1.png", scribble(np.random.default_rng(4)))
    celeba = DataFolder(data).celeba()
    with_objects, without = (ship.data_counts(tmp_path, celeba, learned) for learned in (True, False))
    assert (with_objects["sets"], without["sets"]) == (["caltech101", "hills", "toys"], ["caltech101", "hills"])
    assert with_objects["objects"] == {"images": 2, "classes": 2} and "objects" not in without
    assert with_objects["backgrounds"] == without["backgrounds"] == {"images": 2, "groups": 2}


def test_labelled_photographs_are_to_train_on_or_to_calibrate_on(taught: Trained) -> None:
    folder = DataFolder(taught.data)
    parts = [folder.labeled_images("train"), folder.labeled_images("calibrate")]
    assert all(paths for paths, _ in parts)
    assert sorted(path for paths, _ in parts for path in paths) == sorted(tuning_half(taught.data))
    for paths, labels in parts:
        assert [Path(path).name for path in paths] == labels.files and len(labels.values) == len(paths)


def test_labels_of_other_photographs_join_those_of_webfaces(taught: Trained, tmp_path: Path) -> None:
    shutil.copytree(taught.data / "webfaces", tmp_path / "webfaces")
    names = [Path(path).name for path in tuning_half(taught.data)]
    shutil.copytree(taught.data / "webfaces", tmp_path / "photographs" / "helen")
    rows = [f"{name},1" for name in names]
    (tmp_path / "photographs" / "helen" / "tags.csv").write_text("\n".join(["file,Wearing_Hat", *rows]) + "\n")
    before, both = DataFolder(taught.data).labeled_images("train"), DataFolder(tmp_path).labeled_images("train")
    assert len(both[0]) == 2 * len(before[0]) and "photographs" in both[0][-1]
    hats = both[1].values[:, ATTRIBUTES.index("Wearing_Hat")]
    assert hats.tolist() == [-1] * len(before[0]) + [1] * len(before[0])
    males = both[1].values[:, ATTRIBUTES.index("Male")]
    assert (males[len(before[0]) :] == -1).all() and (males[: len(before[0])] >= 0).all()
    assert both[1].attributes == sorted({*before[1].attributes, ATTRIBUTES.index("Wearing_Hat")})


def test_labels_that_no_photograph_to_learn_from_has_are_refused(taught: Trained, tmp_path: Path) -> None:
    (tmp_path / "webfaces").mkdir()
    for path in (taught.data / "webfaces").iterdir():
        shutil.copy(path, tmp_path / "webfaces")
    folder = DataFolder(tmp_path)
    tuning = {Path(path).name for path in tuning_half(tmp_path)}
    _, labels = folder.labeled_images("train")
    _, others = folder.labeled_images("calibrate")
    testing = {f"{number}.png" for number in range(PHOTOGRAPHS)} - tuning
    for rows, message in (
        ([f"{name},1" for name in sorted(testing)], "no labelled photograph is of the half tune"),
        ([f"{name}," for name in labels.files], r"tags\.csv has no label to train on; label more, or use none$"),
        ([f"{name},1" for name in others.files], r"tags\.csv has no label to train on"),
        (["99.png,1"], r"99\.png is not there"),
    ):
        (tmp_path / "webfaces" / "tags.csv").write_text("\n".join(["file,Male", *rows]) + "\n")
        with pytest.raises(DataError, match=message):
            folder.labeled_images("train")
    (tmp_path / "webfaces" / "tags.csv").write_text(f"file,Male\n./{labels.files[0]},1\n{labels.files[1]},\n")
    (only,), _ = folder.labeled_images("train")
    assert Path(only).name == labels.files[0]
    with pytest.raises(DataError, match=r"tags\.csv has no label to calibrate on"):
        cascade.finetune_all(tmp_path, taught.run, CENTER_NET, OPTIONS, tmp_path / "out")
    with pytest.raises(DataError, match=r"tags\.csv has no label to calibrate on"):
        folder.labeled_images("calibrate")
    (tmp_path / "webfaces" / "tags.csv").unlink()
    for train in (cascade.finetune_anet, lambda *given: cascade.finetune_all(*given, tmp_path / "out")):
        with pytest.raises(DataError, match=r"tags\.csv: No such file"):
            train(tmp_path, taught.run, CENTER_NET, OPTIONS)
    nowhere = np.full((1, 5), np.nan, np.float32)
    with pytest.raises(DataError, match="no face was found in any of 1 labelled photographs"):
        finetune.labeled_image_examples(
            [only], labels.select([0]), nowhere, RECIPE.tagger, ANet.frame, CENTER_NET.anet_attributes
        )
    with pytest.raises(UsageError, match=r"svm\.utkface needs a fraction"):
        replace(CENTER_NET, svm=replace(CENTER_NET.svm, labeled_images=0.0))
    with pytest.raises(UsageError, match=r"svm\.labeled_images = 1\.0 is no share"):
        replace(CENTER_NET, svm=replace(CENTER_NET.svm, labeled_images=1.0))


def test_faces_of_utkface_are_shown_beside_the_rest_with_male_and_young(
    taught: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(cascade, "train", lambda task, *_: begun.append(task))
    stage = replace(
        CENTER_NET.anet_attributes,
        boxes="aligned", utkface=3, young_below=30.0, tight=1.0, jitter=JitterSettings(shift=3.0),
    )  # fmt: skip
    cascade.finetune_anet(taught.data, taught.run, replace(CENTER_NET, anet_attributes=stage), OPTIONS)
    mixed = begun[0].examples
    people = DataFolder(taught.data).utkface("train")
    assert 10 < len(people) < CHIPS and len(mixed) - len(mixed.examples) == 3 * len(people)
    assert (mixed.examples.examples.boxes == proposed.aligned_boxes(1)).all()
    assert len({tuple(box) for box in mixed.examples.others.boxes}) > 1  # labelled photographs are in no aligned frame
    index = len(mixed.examples) + 1
    image, labels = mixed[0, index]
    assert image.shape == (55, 47, 3) and (image != mixed[1, index][0]).any()
    known = {ATTRIBUTES[column]: value.item() for column, value in enumerate(labels) if value >= 0}
    assert known == {"Male": people[1].male, "Young": people[1].age < 30}


def test_anet_goes_on_from_what_an_earlier_recipe_left_in_the_run(
    taught: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(cascade, "train", lambda task, *_: begun.append(task))
    recipe = replace(
        CENTER_NET,
        anet_attributes=replace(
            CENTER_NET.anet_attributes, start="earlier", boxes="aligned", labeled_images=0, utkface=0
        ),
    )
    cascade.finetune_anet(taught.data, taught.run, recipe, OPTIONS)
    left = checkpoint.best_state(taught.run / "anet_attributes_center_net")
    assert all(torch.equal(tensor, left[name]) for name, tensor in begun[0].model.state_dict().items())
    with pytest.raises(DataError, match="anet_attributes_center_net"):
        cascade.finetune_anet(taught.data, tmp_path, recipe, OPTIONS)
    with pytest.raises(DataError, match="anet_attributes_center_net"):
        cascade.finetune_all(taught.data, tmp_path, recipe, OPTIONS, tmp_path / "out")


def test_a_wide_net_is_shown_nearly_the_whole_head_and_heads_at_half_their_size(
    taught: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(cascade, "train", lambda task, *_: begun.append(task))
    shutil.copytree(taught.data, tmp_path / "data")
    shutil.copytree(taught.data / "celeba", tmp_path / "data" / "celeba_half")
    stage = replace(
        CENTER_NET.anet_attributes, start="nothing", boxes="aligned", half_images=True, labeled_images=0, utkface=0
    )
    anet = ANetSettings(kind="wide", widths=(4, 6, 8), normalisation="batch")
    cascade.finetune_anet(tmp_path / "data", taught.run, replace(CENTER_NET, anet=anet, anet_attributes=stage), OPTIONS)
    mixed = begun[0].examples
    assert mixed[0, 0][0].shape == (128, 112, 3)
    assert (mixed.others.boxes[:, :4] * 2 == mixed.examples.boxes[:, :4]).all()
    assert len(mixed.others) == len(mixed.examples)


def test_anet_learns_from_a_teacher_of_its_run(
    taught: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = replace(CENTER_NET.anet_attributes, boxes="aligned", labeled_images=0, utkface=0, teacher_weight=0.5)
    anet = ANetSettings(kind="wide", widths=(4, 6, 8), normalisation="batch")
    teacher = TeacherSettings(widths=(4, 4, 6, 8), blocks=(0, 1, 0, 0))
    lesson = replace(stage, loop=replace(LOOP, rate=2e-3), teacher_weight=0.0)
    recipe = replace(CENTER_NET, anet=anet, teacher=teacher, anet_teacher=lesson, anet_attributes=stage)
    with pytest.raises(DataError, match=r"anet_teacher/best\.safetensors does not exist; train the stage anet_teacher"):
        cascade.finetune_anet(taught.data, tmp_path, recipe, OPTIONS)
    outcome = cascade.finetune_teacher(taught.data, tmp_path, recipe, OPTIONS)
    assert outcome.finished and set(checkpoint.figures(tmp_path / "anet_teacher")) >= {"accuracy", "average_precision"}
    begun: list[Any] = []
    monkeypatch.setattr(cascade, "train", lambda task, *_: begun.append(task))
    cascade.finetune_anet(taught.data, tmp_path, recipe, OPTIONS)
    kept, (task,) = checkpoint.best_state(tmp_path / "anet_teacher"), begun
    assert all(torch.equal(kept[name], tensor) for name, tensor in task.teacher.state_dict().items())
    regions = torch.rand(2, 3, 128, 112)
    before = {name: tensor.clone() for name, tensor in task.teacher.state_dict().items()}
    task.loss(task.model, regions, torch.zeros(2, len(ATTRIBUTES))).backward()
    assert all(parameter.grad is None for parameter in task.teacher.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in task.teacher.state_dict().items())
    record = ship.training_record(tmp_path, recipe)
    assert set(record["validation"]) == set(record["settings_checked"]) == {"anet_teacher"}


@pytest.mark.parametrize("wrong", [{"widths": (4, 4)}, {"blocks": (1, 2, 3, -1)}, {"widths": (0, 1, 1, 1)}])
def test_a_teacher_of_no_possible_shape_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="of the teacher; give four"):
        TeacherSettings(**wrong)


def test_a_teachers_weight_out_of_its_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"teacher_weight = 1\.5 of the recipe; give 0 to 1"):
        FaceStage(teacher_weight=1.5)


def test_an_image_can_be_cut_as_tightly_as_a_chip() -> None:
    rng = np.random.default_rng(0)
    image, box = as_chip(face(30, rng), ALIGNED_FACE)
    assert image.shape[:2] == (101, 101)
    scale = CHIP_FACE.height / box.height
    assert (box.x * scale, box.y * scale) == pytest.approx((CHIP_FACE.x, CHIP_FACE.y), abs=2)


def face_task(teacher: Any = None, weight: float = 0.0) -> finetune.FaceTask:
    """A task whose net answers what it is shown."""
    stage = replace(CENTER_NET.anet_attributes, teacher_weight=weight)
    return finetune.FaceTask("anet_attributes", torch.nn.Identity(), stage, None, None, teacher)  # type: ignore[arg-type]


def test_a_teacher_is_shown_the_same_pixels_and_answers_where_no_label_is() -> None:
    task = face_task(torch.nn.Softsign(), 0.75)
    logits = torch.randn(3, len(ATTRIBUTES), requires_grad=True)
    labels = torch.full((3, len(ATTRIBUTES)), -1.0)
    labels[0], labels[2, 5] = 1.0, 0.0
    task.loss(torch.nn.Identity(), logits, labels).backward()
    answers = torch.nn.functional.softsign(logits).sigmoid().detach()
    targets = torch.where(labels < 0, answers, 0.25 * labels + 0.75 * answers)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, (logits.detach().sigmoid() - targets) / logits.numel())


def test_what_is_unknown_teaches_nothing() -> None:
    task = face_task()
    logits = torch.randn(3, len(ATTRIBUTES), requires_grad=True)
    labels = torch.full((3, len(ATTRIBUTES)), -1.0)
    labels[0], labels[2, 5] = 1.0, 0.0
    loss = task.loss(torch.nn.Identity(), logits, labels)
    loss.backward()
    known = labels >= 0
    assert logits.grad is not None and (logits.grad[~known] == 0).all() and (logits.grad[known] != 0).all()
    torch.testing.assert_close(loss, attribute_loss(logits[known], labels[known]))


def test_mixup_mixes_pixels_and_loss_alike_and_what_is_unknown_still_teaches_nothing() -> None:
    stage = replace(CENTER_NET.anet_attributes, teacher_weight=0.0, mixup=0.4)
    task = finetune.FaceTask("anet_attributes", torch.nn.Identity(), stage, None, None)  # type: ignore[arg-type]
    faces = torch.rand(4, len(ATTRIBUTES))
    labels = (torch.rand(4, len(ATTRIBUTES)) < 0.5).float()
    labels[1, :7] = labels[3] = -1.0
    torch.manual_seed(3)
    loss = task.loss(torch.nn.Identity(), faces, labels)
    torch.manual_seed(3)
    fraction = float(torch.distributions.Beta(0.4, 0.4).sample())
    mixed, turned = (1 - fraction) * faces + fraction * faces.flip(0), labels.flip(0)
    own, other = (attribute_loss(mixed[each >= 0], each[each >= 0]) for each in (labels, turned))
    assert 0.01 < fraction < 0.99
    torch.testing.assert_close(loss, (1 - fraction) * own + fraction * other)
    with pytest.raises(UsageError, match="mixup = -1"):
        FaceStage(mixup=-1)


class KeyedRows(dict[int, Any]):
    """Examples by (epoch, index)."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key[1])


def test_an_lnet_of_few_tags_learns_no_other() -> None:
    stage = SceneStage(start="nothing", any_weight=0.0, tags=("Smiling", "Bald"))
    task = finetune.LNetTask("lnet_o", stage, LNetSettings(), None, None, 131, stage.tags)
    logits = torch.randn(3, len(ATTRIBUTES) + 1, requires_grad=True)
    labels = torch.zeros_like(logits)
    (gradient,) = torch.autograd.grad(task.loss(torch.nn.Identity(), logits, labels), logits)
    assert gradient.any(0).nonzero().flatten().tolist() == attribute_indices(stage.tags)
    with pytest.raises(UsageError, match="did you mean Smiling"):
        SceneStage(tags=("Smile",))


class FromPixels(torch.nn.Module):
    """Answers as many logits as an image has numbers: what is bright is present."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) - 0.5


def test_an_attribute_that_is_left_out_teaches_nothing_and_is_not_validated() -> None:
    stage = replace(CENTER_NET.anet_attributes, teacher_weight=0.0, left_out=("Smiling", "Bald"))
    out = attribute_indices(stage.left_out)
    logits = torch.randn(3, len(ATTRIBUTES), requires_grad=True)
    labels = (torch.arange(3)[:, None] % 2 == 0).float().expand(3, len(ATTRIBUTES))
    for teacher in (None, torch.nn.Identity()):
        stage = replace(stage, teacher_weight=0.0 if teacher is None else 0.5)
        task = finetune.FaceTask("anet_attributes", torch.nn.Identity(), stage, None, None, teacher)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(task.loss(torch.nn.Identity(), logits, labels), logits)
        assert (gradient[:, out] == 0).all() and (gradient != 0).sum() == 3 * (len(ATTRIBUTES) - len(out))
    answers = labels.clone()
    answers[:, out] = 1 - answers[:, out]
    images = (255 * answers).byte()[:, None, None]
    task.validation = KeyedRows(enumerate(zip(images, labels, strict=True)))  # type: ignore[assignment]
    assert task.validate(FromPixels(), torch.device("cpu"))["accuracy"] == 1
    with pytest.raises(UsageError, match="did you mean Smiling"):
        FaceStage(left_out=("Smile",))


def test_the_centre_network_of_a_model_is_that_of_its_run(taught: Trained) -> None:
    model = load_model(str(taught.model))
    finder = localizer_of(model)
    assert isinstance(finder, CenterLocalizer) and finder.settings == CENTER_NET.center_localizer
    of_run = trained_nets.trained_face_localizer(taught.run, CENTER_NET, torch.device("cpu"))
    picture = face(30, np.random.default_rng(5))
    assert finder([picture]) == of_run([picture]) and finder([picture])[0]
    assert isinstance(trained_nets.trained_face_localizer(taught.run, RECIPE, torch.device("cpu")), LNetLocalizer)


def test_a_model_behind_a_centre_network_says_how_it_was_made(taught: Trained) -> None:
    record = load_model(str(taught.model)).training
    assert record["recipe"] == json.loads(json.dumps(plain(CENTER_NET)))
    assert set(record["settings_checked"]) == set(record["validation"]) == {"center_net", "anet_attributes_center_net"}
    labelled, unseen = (len(DataFolder(taught.data).labeled_images(use)[0]) for use in ("train", "calibrate"))
    chips = {use: len(DataFolder(taught.data).utkface(use)) for use in ("train", "calibrate")}  # type: ignore[arg-type]
    assert record["data"]["utkface"] == {**chips, "young_below": 40.0}
    figures = record["validation"]["anet_attributes_center_net"]
    assert all(0 <= figures[f"living_{layer}"] <= 1 for layer in ("c3", "c4", "fc"))
    assert record["data"]["labelled"] == {"photographs": labelled, "attributes": ["Male", "Smiling"]}
    assert (record["svm"]["faces"], record["svm"]["photographs"]) == (12, unseen)
    card = (taught.model / "CARD.md").read_text()
    assert f"{chips['train']} faces of all ages taught ANet Male and Young alone" in card
    assert "- center_net: recall " in card
    assert "- anet_attributes: accuracy " not in card and "- anet_attributes_center_net: accuracy " in card
    assert (
        f"ANet also learned from {labelled} photographs" in card
        and "and from labels of theirs, Male, Smiling, which" in card
    )
    assert f"- {unseen} other such photographs, whose labels ANet did not see," in card and "have 50% of the" in card
    assert "\n\nTaught by toys.\n" in card
    threshold = load_model(str(taught.model)).thresholds[ATTRIBUTES.index("Male")]
    assert f"\n\nMale is present from {threshold:.2f}, where presence and absence are told equally often" in card


def test_a_model_behind_a_centre_network_predicts(taught: Trained, tmp_path: Path) -> None:
    save(tmp_path / "a.png", face(30, np.random.default_rng(5)))
    out = tmp_path / "tags.csv"
    inputs = [str(tmp_path / "a.png"), "--faces", "dominant"]
    assert cli.run(["predict", *inputs, "--model", str(taught.model), "--out", str(out), "-q"]) == ExitCode.OK
    (record,) = read_csv(out.read_text())
    (found,) = record.faces
    assert record.status == "ok" and tuple(found.probabilities) == ATTRIBUTES


def test_a_centre_network_that_was_stopped_goes_on_to_the_same_weights(taught: Trained, tmp_path: Path) -> None:
    stopped = cascade.train_center_net(taught.data, tmp_path, CENTER_NET, replace(OPTIONS, should_stop=lambda: True))
    assert (stopped.finished, stopped.steps) == (False, 1)
    resumed = cascade.train_center_net(taught.data, tmp_path, CENTER_NET, replace(OPTIONS, resume=True))
    assert (resumed.finished, resumed.steps) == (True, 6)
    best = Path("center_net") / checkpoint.BEST
    assert (taught.run / best).read_bytes() == (tmp_path / best).read_bytes()


def test_a_centre_network_of_another_recipe_is_refused(taught: Trained, tmp_path: Path) -> None:
    other = replace(CENTER_NET, center_net=replace(FIRST, box_weight=0.5))
    message = r"^stage center_net: .*other settings; use its recipe, or train center_net again$"
    with pytest.raises(DataError, match=message):
        ship.fit_svm(taught.data, taught.run, other, OPTIONS, tmp_path / "out")
    with pytest.raises(DataError):
        cascade.train_center_net(taught.data, taught.run, other, replace(OPTIONS, resume=True))


def test_a_centre_network_is_not_trained_without_heads_or_scenes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="celeba"):
        cascade.train_center_net(tmp_path, tmp_path / "run", CENTER_NET, OPTIONS)


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """A user's boxes: one photo with a face, one without."""
    save(tmp_path / "photos" / "one.png", face(71, np.random.default_rng(6)))
    save(tmp_path / "photos" / "bare.png", scribble(np.random.default_rng(7)))
    file = tmp_path / "photos" / "faces.csv"
    file.write_text("path,x,y,width,height\none.png,43,74,92,116\nbare.png,,,,\n")
    return file


def begun_task(monkeypatch: pytest.MonkeyPatch, *given: Any) -> CenterNetTask:
    """The task that training would begin with."""
    begun: list[Any] = []
    monkeypatch.setattr(cascade, "train", lambda task, *_: begun.append(task))
    cascade.train_center_net(*given)
    (task,) = begun
    assert isinstance(task, CenterNetTask)
    return task


def test_a_users_photos_are_shown_as_often_as_the_recipe_says(
    trained: Trained, tmp_path: Path, boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for photos in (0.0, 1.0):
        recipe = replace(CENTER_NET, center_net=replace(FIRST, boxed_images=photos))
        examples = begun_task(monkeypatch, trained.data, tmp_path, recipe, OPTIONS, boxes).examples
        assert examples.boxed is not None
        source = examples.boxed if photos else examples.composer
        for index in range(3):
            np.testing.assert_array_equal(examples[1, index][0], source.compose(1, index).image)
            assert examples[0, index][0].shape == (32, 32, 3)
    stage = json.loads((tmp_path / "center_net" / "boxes.json").read_text())
    assert (stage["photographs"], stage["faces"]) == (2, 1)


def test_a_training_with_boxes_goes_on_with_these_alone(trained: Trained, tmp_path: Path, boxes: Path) -> None:
    run, again = tmp_path / "run", replace(OPTIONS, resume=True)
    stopped = replace(OPTIONS, should_stop=lambda: True)
    assert not cascade.train_center_net(trained.data, run, CENTER_NET, stopped, boxes).finished
    with pytest.raises(DataError, match="begun with other boxes"):
        cascade.train_center_net(trained.data, run, CENTER_NET, again)
    assert cascade.train_center_net(trained.data, run, CENTER_NET, again, boxes).finished
    boxes.write_text(boxes.read_text().replace("92", "90"))
    with pytest.raises(DataError, match="begun with other boxes"):
        cascade.train_center_net(trained.data, run, CENTER_NET, again, boxes)
    cascade.train_center_net(trained.data, run, CENTER_NET, stopped)
    assert not (run / "center_net" / "boxes.json").exists()


def test_a_model_says_that_it_learned_from_boxes(taught: Trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(taught.run, run, ignore=shutil.ignore_patterns("model", "pictures"))
    (run / "center_net" / "boxes.json").write_text('{"sha256": "0123", "photographs": 7, "faces": 9}')
    ship.fit_svm(taught.data, run, CENTER_NET, OPTIONS, tmp_path / "model")
    texts = [(folder / "CARD.md").read_text() for folder in (taught.model, tmp_path / "model")]
    assert "No box that a human drew was trained on." in texts[0] and "No box that a human" not in texts[1]
    assert "9 face boxes of 7 photographs" in texts[1]
    assert load_model(str(tmp_path / "model")).training["boxes"] == {"sha256": "0123", "photographs": 7, "faces": 9}


def test_the_command_takes_boxes(trained: Trained, tmp_path: Path, boxes: Path, capsys: Any) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'base = "faithful"\nlocalizer_kind = "center_net"\n[center_net]\nheld_out = 0.5\nscenes_per_epoch = 4\n'
        "validation = 2\nboxed_images = 0.5\nnet = { widths = [4, 4, 4, 4, 4], blocks = [0, 0, 0], neck = 4 }\n"
        "scenes = { input_size = 64 }\nloop = { epochs = 1, batch = 4 }\n"
    )
    command = ["finetune", "center-net", "--data", str(trained.data), "--run", str(tmp_path / "run"), "--workers", "0"]
    command += ["--recipe", str(recipe), "--device", "cpu", "-q", "--boxes"]
    assert cli.run([*command, str(boxes)]) == ExitCode.OK
    assert (tmp_path / "run" / "center_net" / checkpoint.BEST).is_file()
    boxes.write_text("path,x,y,width,height\ngone.png,1,1,9,9\n")
    capsys.readouterr()
    assert cli.run([*command, str(boxes)]) != ExitCode.OK
    assert "faces.csv: there is no gone.png" in capsys.readouterr().err


def test_a_centre_network_may_start_from_an_earlier_one(
    taught: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(CENTER_NET, center_net=replace(FIRST, start="earlier"))
    run = tmp_path / "run"
    with pytest.raises(DataError, match="center_net"):
        cascade.train_center_net(taught.data, run, recipe, OPTIONS)
    shutil.copytree(taught.run, run, ignore=shutil.ignore_patterns("model", "pictures"), dirs_exist_ok=True)
    task = begun_task(monkeypatch, taught.data, run, recipe, OPTIONS)
    for name, tensor in checkpoint.best_state(run / "center_net").items():
        assert torch.equal(task.model.state_dict()[name], tensor), name


def test_negatives_are_shown_and_pictures_with_faces_are_not(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained.data, data, symlinks=True)
    recipe = replace(CENTER_NET, center_net=replace(FIRST, negatives=True))
    with pytest.raises(DataError, match=r"negatives\.csv"):
        cascade.train_center_net(data, tmp_path / "run", recipe, OPTIONS)
    group = DataFolder(data).backgrounds()[0]
    wrong, shown = (Path(path).relative_to(data) for path in group[:2])
    rows = ["file,x,y,width,height,kind", f"{wrong},10,10,20,30,lines", f"{shown},,,,,face"]
    (data / "negatives.csv").write_text("\n".join(rows) + "\n")
    composer = begun_task(monkeypatch, data, tmp_path / "run", recipe, OPTIONS).examples.composer
    assert composer.negatives is not None and len(composer.negatives.images) == 1
    without = sum(map(len, DataFolder(data).backgrounds())) - 1
    assert [count for _, count, _ in composer.groups][-1] == 1 and len(composer.scenes) == without + 1


def test_heads_that_were_not_found_are_shown_more_often(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained.data, data, symlinks=True)
    recipe = replace(CENTER_NET, center_net=replace(FIRST, scenes=replace(FIRST.scenes, hard_heads=0.5)))
    for text, fault in (("", r"hard_heads\.csv"), ("file\n", "names no head")):
        if text:
            (data / "hard_heads.csv").write_text(text)
        with pytest.raises(DataError, match=fault):
            cascade.train_center_net(data, tmp_path / "run", recipe, OPTIONS)
    path = finetune.split_training(DataFolder(data).celeba(), recipe.center_net.held_out).train.paths[2]
    (data / "hard_heads.csv").write_text(f"file\n{path.relative_to(data)}\nceleba/none.jpg\n")
    task = begun_task(monkeypatch, data, tmp_path / "run", recipe, OPTIONS)
    assert list(task.examples.composer.hard) == [2] and not task.validation.composer.hard


def test_tight_pictures_are_those_whose_face_is_known(taught: Trained) -> None:
    utkface, people = DataFolder(taught.data).tight_images()
    assert (utkface.name, people.name) == ("utkface", "people")
    held_out = {str(person.path) for person in DataFolder(taught.data).utkface("test")}
    assert len(utkface.paths) == CHIPS - len(held_out) > 0 and not held_out & set(utkface.paths)
    assert held_out and set(utkface.boxes) == {TIGHT_FACE}
    assert [Path(path).name for path in people.paths] == ["0.png"]
    assert people.boxes == [Box(0.25, 0.5, 0.5, 0.25)]


class Answers(torch.nn.Module):
    """Answers the pictures of a validation one after the other by what they ought to be."""

    def __init__(self, samples: Any, right: bool) -> None:
        super().__init__()
        self.targets = [samples[VALIDATION_EPOCH, index][1] for index in range(len(samples))]
        self.right = right

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        chosen, self.targets = self.targets[: len(images)], self.targets[len(images) :]
        maps = torch.stack(chosen)
        logit = torch.where((maps[:, :1] == 1) if self.right else (maps[:, :1] < 0.1), 9.0, -9.0)
        return torch.cat([logit, maps[:, 3:]], 1)


@pytest.mark.parametrize(("right", "expected"), [(True, 1.0), (False, 0.0)])
def test_a_centre_network_is_kept_by_the_faces_that_it_finds(
    taught: Trained, tmp_path: Path, right: bool, expected: float
) -> None:
    scenes = replace(FIRST.scenes, heads=(0.0, 1.0), tight=0.0, collage=0.0)
    stage = replace(FIRST, scenes=scenes)
    task = CenterNetTask(*detection_composers(DataFolder(taught.data), tmp_path, stage), stage)
    assert (len(task.examples), len(task.validation)) == (12, 6)
    found = task.validate(Answers(task.validation, right), torch.device("cpu"))
    assert found == {"recall": expected}
