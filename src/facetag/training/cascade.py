"""The stages in the paper's order (section 4), each from the run folder of those before it.

run/lnet_plus  run/lnet_o  run/lnet_s  run/student  run/anet_identities  run/anet_attributes  run/proposals
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facetag.attributes import ATTRIBUTES
from facetag.datasets.celeba import CelebA
from facetag.datasets.scenes import SceneComposer
from facetag.errors import DataError
from facetag.localizer import Localizer
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model import Model, RespondingLNet, save_model
from facetag.networks.anet import FEATURES, ANet, AttributeNet
from facetag.networks.layout import channels_last
from facetag.networks.student import Student
from facetag.settings import plain
from facetag.student import AnyLocalizer, StudentLocalizer
from facetag.tagger import FeatureExtractor, face_region
from facetag.training import checkpoint, distill, finetune
from facetag.training.card import model_card
from facetag.training.data import DataFolder
from facetag.training.examples import read_rgb
from facetag.training.fit import Fitted, fit, require_identities
from facetag.training.loop import Outcome, RunOptions, train
from facetag.training.propose import Boxes, aligned_boxes, as_box, kept, propose_all_faces, propose_faces, propose_heads
from facetag.training.recipe import Recipe


def finetune_lnet_o(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Fine-tune LNet_o in run/lnet_o by attributes on composed whole images.

    Raises:
        DataError: data or LNet+ is missing.
    """
    folder, stage = DataFolder(data), recipe.lnet_o
    task = finetune.scene_task(folder.celeba(), folder.backgrounds(), stage, recipe.lnet)
    if stage.start != "nothing" and not options.resume:
        _start_from(run / stage.start, task.model, "lnet")
    return train(task, stage.loop, run / task.name, options)


def finetune_lnet_s(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Fine-tune LNet_s in run/lnet_s by attributes on the head-shoulder crops that LNet_o proposes.

    Raises:
        DataError: data, LNet+ or LNet_o is missing.
    """
    folder, stage = DataFolder(data), recipe.lnet_s
    split = finetune.split_training(folder.celeba(), stage.held_out)
    backgrounds, seed = folder.backgrounds(), stage.loop.seed
    composers = (
        finetune.composer(split.train, backgrounds, stage.scenes, seed),
        finetune.composer(split.validation, backgrounds, stage.scenes, seed + 1),
    )
    sides = stage.sides or recipe.localizer.sides
    localizer = head_localizer(run, recipe, options.device, sides, half=stage.loop.precision == "bfloat16")
    squares = (
        _proposed_heads(run, "train", localizer, composers[0], stage.rounds, options),
        _proposed_heads(run, "validation", localizer, composers[1], 1, options),
    )
    task = finetune.crop_task(composers, squares, stage, recipe.lnet)
    if stage.start != "nothing" and not options.resume:
        _start_from(run / stage.start, task.model, "lnet")
    return train(task, stage.loop, run / task.name, options)


def _proposed_heads(
    run: Path, part: str, localizer: Localizer, scenes: SceneComposer, rounds: int, options: RunOptions
) -> Boxes:
    heads, *backgrounds = [[Path(path).name for path in group] for group in (scenes.heads, *scenes.backgrounds)]
    key = _key(localizer, [plain(scenes.settings), scenes.seed, rounds, heads, backgrounds])
    report = _progress(f"heads of {part}", options)
    path = run / "proposals" / f"heads_{part}.npz"
    return kept(path, key, lambda: propose_heads(localizer, scenes, rounds, report))


def train_student(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Train the student on composed scenes and on what the LNets find in WebFaces' tuning half.

    In run/student, or in run/student_again when it goes on from that one.

    Raises:
        DataError: data or an LNet is missing.
    """
    folder = DataFolder(data)
    photographs = folder.photographs()
    localizer = trained_localizer(run, recipe, options.device)
    found = proposed_crowds(run, localizer, photographs, options)
    stage = recipe.student
    lessons = distill.taught(photographs, found, stage.sure, stage.doubt)
    task = distill.StudentTask(folder.celeba(), folder.backgrounds(), lessons, stage)
    if stage.start != "nothing" and not options.resume:
        _load(task.model, run / stage.start, checkpoint.best_state(run / stage.start))
    return train(task, stage.loop, run / _student_folder(recipe), options)


def _student_folder(recipe: Recipe) -> str:
    return "student" if recipe.student.start == "nothing" else "student_again"


def finetune_anet(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Fine-tune ANet in run/anet_attributes on the face regions that the LNets propose.

    Raises:
        DataError: data, an LNet or the pre-trained ANet is missing.
    """
    stage = recipe.anet_attributes
    split = finetune.split_training(DataFolder(data).celeba(), stage.held_out)
    boxes = _face_boxes(run, recipe, options)
    parts = [
        finetune.face_examples(part, boxes(name, part), recipe.tagger, stage, jittered)
        for name, part, jittered in (("train", split.train, True), ("validation", split.validation, False))
    ]
    torch.manual_seed(stage.loop.seed)
    net = AttributeNet(len(ATTRIBUTES), recipe.anet, stage.dropout)
    if stage.start != "nothing" and not options.resume:
        _start_from(run / "anet_identities", net, "anet")
    task = finetune.FaceTask(net, stage, *parts)
    return train(task, stage.loop, run / task.name, options)


def _face_boxes(run: Path, recipe: Recipe, options: RunOptions) -> Callable[[str, CelebA], Boxes]:
    """What says where the face of each training picture of ANet is."""
    stage, usual = recipe.anet_attributes, recipe.localizer
    if stage.boxes == "aligned":
        return lambda name, part: aligned_boxes(len(part))
    quick = replace(usual, sides=stage.sides or usual.sides, heads=stage.heads or usual.heads)
    asked = replace(recipe, localizer=quick)
    localizer = trained_localizer(run, asked, options.device, half=recipe.lnet_s.loop.precision == "bfloat16")
    return lambda name, part: proposed_faces(run, name, localizer, part, options)


def proposed_faces(run: Path, part: str, localizer: AnyLocalizer, data: CelebA, options: RunOptions) -> Boxes:
    """The surest face in each of these images, kept in run/proposals."""
    paths = [str(path) for path in data.paths]
    key = _key(localizer, [Path(path).name for path in paths])
    report = _progress(f"faces of {part}", options)
    path = run / "proposals" / f"faces_{part}.npz"
    return kept(path, key, lambda: propose_faces(localizer, read_rgb, paths, report))


def proposed_crowds(run: Path, localizer: Localizer, paths: Sequence[str], options: RunOptions) -> Boxes:
    """All that the LNets find in these photographs (`propose_all_faces`), kept in run/proposals."""
    key = _key(localizer, [Path(path).name for path in paths])
    report = _progress("faces of photographs", options)
    path = run / "proposals" / "faces_photographs.npz"
    return kept(path, key, lambda: propose_all_faces(localizer, read_rgb, paths, report))


def fit_svm(data: Path, run: Path, recipe: Recipe, options: RunOptions, out: Path) -> Fitted:
    """Fit the SVMs on partition 1, whose identities no net saw, and write the model folder.

    Raises:
        DataError: data or a trained net is missing, partition 1 has too few identities, or a net is not of this recipe.
    """
    celeba = DataFolder(data).celeba()
    svms = celeba.subset(1)
    if not len(svms):
        raise DataError(f"{data} has no CelebA picture of partition 1 to fit the SVMs on", "arrange them too")
    require_identities(svms.identities, recipe.svm.folds)
    record = {**training_record(run, recipe), "data": data_counts(data, celeba)}
    localizer = trained_finder(run, recipe, options.device)
    part = "svm" if recipe.finder == "lnets" else f"svm_{recipe.finder}"
    boxes = proposed_faces(run, part, localizer, svms, options)
    found = ~np.isnan(boxes[:, 0])
    if not found.any():
        raise DataError("no face was found in any picture of partition 1", "train what finds them longer")
    chosen = svms.select(found)
    tuned = trained_attribute_net(run, recipe)
    anet = tuned.anet.half().float()  # rounded as it will be saved, so that the SVMs see what users will
    extract = FeatureExtractor(anet, recipe.tagger, options.device)
    features = region_features(extract, chosen, boxes[found], options)
    views = features.shape[1] // FEATURES
    outputs = np.tile(tuned.outputs.weight.numpy(), views) / views
    fitted = fit(features, chosen.attributes == 1, chosen.identities, recipe.svm, outputs=outputs)
    anet.cpu()
    record["svm"] = {
        "faces": len(chosen),
        "without_a_box": int((~found).sum()),
        "cost": fitted.cost,
        "pull": fitted.pull,
        "cross_fitted_accuracy": fitted.accuracy,
    }
    model = Model(
        name=out.name,
        **_finder_of(localizer),
        anet=anet,
        svm=fitted.svm,
        calibration=fitted.calibration,
        thresholds=fitted.thresholds,
        localizer=plain(localizer.settings),
        tagger=plain(recipe.tagger),
        training=record,
    )
    save_model(model, out, model_card(model))
    return fitted


def finetune_all(data: Path, run: Path, recipe: Recipe, options: RunOptions, out: Path) -> Outcome:
    """LNet_o, LNet_s, ANet and the SVMs; with `options.resume` finished stages are kept and begun ones go on.

    Raises:
        DataError: data or a pre-trained net is missing.
    """
    started, steps, best = time.monotonic(), 0, -math.inf
    stages = {"lnet_o": finetune_lnet_o, "lnet_s": finetune_lnet_s, "anet_attributes": finetune_anet}
    for name, stage in stages.items():
        left = None if options.max_time is None else options.max_time - (time.monotonic() - started)
        begun = (run / name / checkpoint.CHECKPOINT).is_file()
        outcome = stage(data, run, recipe, replace(options, resume=options.resume and begun, max_time=left))
        steps, best = steps + outcome.steps, outcome.best
        if not outcome.finished:
            return Outcome(False, steps, best)
    return Outcome(True, steps, fit_svm(data, run, recipe, options, out).accuracy)


def region_features(extract: FeatureExtractor, data: CelebA, boxes: Boxes, options: RunOptions) -> Any:
    """h_a of each image's face: (N, D) float32."""
    settings, parts = extract.settings, []
    report = _progress("features", options)
    for start in range(0, len(data), 512):
        rows = range(start, min(start + 512, len(data)))
        regions = [face_region(read_rgb(str(data.paths[i])), as_box(boxes[i]), settings.margin, settings) for i in rows]
        parts.append(extract(regions))
        report(rows.stop, len(data))
    return np.concatenate(parts)


def training_record(run: Path, recipe: Recipe) -> dict[str, Any]:
    """How the nets were made, for model.json; `settings_checked`: the stages whose checkpoint agrees with the recipe.

    Raises:
        DataError: a stage was trained with other settings than the recipe's.
    """
    trained = [stage for stage in _stages_behind(recipe) if has_stage(run, stage)]
    checked = [stage for stage in trained if _settings_agree(run, recipe, stage)]
    figures = {stage: checkpoint.figures(run / stage) for stage in trained}
    return {"recipe": plain(recipe), "validation": figures, "settings_checked": checked}


def _stages_behind(recipe: Recipe) -> list[str]:
    """The stages that the recipe's model comes from, in the paper's order; a start from nothing needs none before.

    Of a student's rounds the last: this recipe does not say how it was begun.
    """
    needed = {
        "lnet_plus": "lnet_plus" in (recipe.lnet_o.start, recipe.lnet_s.start),
        "lnet_o": True,
        "lnet_s": True,
        "anet_identities": recipe.anet_attributes.start == "identities",
        _student_folder(recipe): recipe.finder == "student",
        "anet_attributes": True,
    }
    return [stage for stage, wanted in needed.items() if wanted]


def _settings_agree(run: Path, recipe: Recipe, name: str) -> bool:
    """True when the stage's checkpoint says these settings, False when there is none any more to say it."""
    if not (run / name / checkpoint.CHECKPOINT).is_file():
        return False
    stage = recipe.student if name == _student_folder(recipe) else getattr(recipe, name)
    try:
        checkpoint.load(run / name, stage.loop, stage, device=torch.device("cpu"))
    except DataError as error:
        raise DataError(f"stage {name}: {error.args[0]}", f"use its recipe, or train {name} again") from error
    return True


def data_counts(data: Path, celeba: CelebA) -> dict[str, Any]:
    """How many pictures a model comes from; objects and backgrounds only where the data folder still has them."""
    nets, svms = int((celeba.partition == 0).sum()), int((celeba.partition == 1).sum())
    counts: dict[str, Any] = {"celeba": {"nets": nets, "svms": svms}}
    if (data / "objects").is_dir():
        objects = DataFolder(data).objects()
        counts["objects"] = {"images": len(objects.paths), "classes": len(objects.class_names)}
        counts["sets"] = DataFolder(data).set_names()
    if "objects" in counts and (data / "backgrounds").is_dir():
        groups = DataFolder(data).backgrounds()
        counts["backgrounds"] = {"images": sum(map(len, groups)), "groups": len(groups)}
    return counts


def trained_lnet_o(run: Path, recipe: Recipe) -> RespondingLNet:
    """LNet_o of a run, ready for use."""
    return finetune.responding(run / "lnet_o", recipe.lnet, recipe.lnet_o, recipe.lnet_o.scenes.side)


def has_stage(run: Path, stage: str) -> bool:
    """Whether a stage has left a net."""
    return (run / stage / checkpoint.BEST).is_file()


def head_localizer(
    run: Path, recipe: Recipe, device: torch.device, sides: tuple[int, ...] = (), half: bool = False
) -> Localizer:
    """A Localizer that finds heads alone: LNet_s is not trained yet, LNet_o stands in its place unused."""
    lnet_o = trained_lnet_o(run, recipe)
    settings = replace(recipe.localizer, sides=sides or recipe.localizer.sides)
    return Localizer(_model(recipe, lnet_o, lnet_o), device, settings, half)


def trained_localizer(run: Path, recipe: Recipe, device: torch.device, half: bool = False) -> Localizer:
    """Both LNets of a run with the recipe's localizer settings."""
    lnet_s = finetune.responding(run / "lnet_s", recipe.lnet, recipe.lnet_s, recipe.lnet_s.side)
    return Localizer(_model(recipe, trained_lnet_o(run, recipe), lnet_s), device, recipe.localizer, half)


def trained_student(run: Path, recipe: Recipe, device: torch.device) -> StudentLocalizer:
    """The student of a run with the recipe's settings for it, folded, rounded to fp16 as it will be saved."""
    net = Student(recipe.student.net)
    checkpoint.load_best(run / _student_folder(recipe), net)
    student = channels_last(net.eval().folded().half().float().requires_grad_(False))
    return StudentLocalizer(_model(recipe, student=student), device, recipe.student_localizer)


def trained_finder(run: Path, recipe: Recipe, device: torch.device) -> AnyLocalizer:
    """What finds faces in this recipe's model."""
    return (trained_student if recipe.finder == "student" else trained_localizer)(run, recipe, device)


def _finder_of(localizer: AnyLocalizer) -> dict[str, Any]:
    """The fields of a Model that find faces."""
    if isinstance(localizer, StudentLocalizer):
        return {"lnet_o": None, "lnet_s": None, "student": localizer.net.cpu()}
    return {"lnet_o": localizer.lnet_o, "lnet_s": localizer.lnet_s}


def trained_attribute_net(run: Path, recipe: Recipe) -> AttributeNet:
    """The fine-tuned ANet of a run with its outputs."""
    net = AttributeNet(len(ATTRIBUTES), recipe.anet, recipe.anet_attributes.dropout)
    checkpoint.load_best(run / "anet_attributes", net)
    return net.eval().requires_grad_(False)


def _model(
    recipe: Recipe,
    lnet_o: RespondingLNet | None = None,
    lnet_s: RespondingLNet | None = None,
    student: Student | None = None,
) -> Model:
    """A model that only localises, while the rest is not trained yet."""
    nothing = np.zeros(0)
    svm = LinearSVM(np.zeros((0, 1)), nothing, np.zeros(1), np.ones(1))
    decide = (svm, Calibration(nothing, nothing), nothing)
    return Model(recipe.name, lnet_o, lnet_s, ANet(recipe.anet), *decide, student=student)


def _start_from(folder: Path, model: nn.Module, part: str) -> None:
    """Copy `part` (lnet or anet) of an earlier stage's best; the head starts at random (paper, section 4)."""
    prefix = part + "."
    weights = {
        name.removeprefix(prefix): t for name, t in checkpoint.best_state(folder).items() if name.startswith(prefix)
    }
    _load(getattr(model, part), folder, weights)


def _load(net: nn.Module, folder: Path, weights: Mapping[str, Tensor]) -> None:
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{folder / checkpoint.BEST} does not fit the recipe", f"train {folder.name} again") from error


def _key(localizer: AnyLocalizer, what: Any) -> str:
    """A hash of nets, precision, settings and pictures: proposals made with other ones are not used again."""
    if isinstance(localizer, StudentLocalizer):
        tensors, precision = list(localizer.net.state_dict().values()), "torch.float32"
    else:
        lnets, precision = (localizer.lnet_o, localizer.lnet_s), str(localizer.dtype)
        tensors = [tensor for lnet in lnets for tensor in (*lnet.net.state_dict().values(), lnet.weights)]
    settings = [plain(localizer.settings), precision, what]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors:
        digest.update(tensor.cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _progress(what: str, options: RunOptions) -> Callable[[int, int], None]:
    return lambda done, total: options.report({"stage": what, "done": done, "of": total})
