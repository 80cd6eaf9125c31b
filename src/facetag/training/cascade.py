"""The stages in the paper's order (section 4), each from the run folder of those before it.

run/lnet_plus  run/lnet_o  run/lnet_s  run/anet_identities  run/anet_attributes  run/proposals
behind a centre network also  run/center_net  run/anet_attributes_center_net  run/pictures
where ANet has a teacher also  run/anet_teacher
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from facetag.attributes import ATTRIBUTES
from facetag.datasets.boxed_images import load_boxed_files
from facetag.datasets.celeba import CelebA
from facetag.datasets.tags import TagLabels
from facetag.datasets.utkface import Person
from facetag.errors import DataError
from facetag.networks.anet import Frame
from facetag.networks.anet_heads import AttributeNet, build_anet
from facetag.networks.teacher_net import TeacherNet
from facetag.training import checkpoint, finetune
from facetag.training.data import DataFolder
from facetag.training.examples import Faces, MixedFaces
from facetag.training.loop import Outcome, RunOptions, train
from facetag.training.propose import aligned_boxes
from facetag.training.proposed import face_boxes, located_boxes, proposed_head_regions
from facetag.training.recipe import FaceStage, Recipe
from facetag.training.ship import fit_svm
from facetag.training.train_center_net import BOXES, CenterNetTask, boxed_images, detection_composers
from facetag.training.trained import by_localizer, head_region_localizer, trained_teacher


def finetune_lnet_o(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Fine-tune LNet_o in run/lnet_o by attributes on composed whole images.

    Raises:
        DataError: data or LNet+ is missing.
    """
    folder, stage = DataFolder(data), recipe.lnet_o
    task = finetune.scene_task(folder.celeba(), folder.backgrounds(), stage, recipe.lnet)
    if stage.start != "nothing" and not options.resume:
        start_from(run / stage.start, task.model, "lnet")
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
    input_sizes = stage.input_sizes or recipe.localizer.input_sizes
    localizer = head_region_localizer(run, recipe, options.device, input_sizes, half=stage.loop.precision == "bfloat16")
    squares = (
        proposed_head_regions(run, "train", localizer, composers[0], stage.rounds, options),
        proposed_head_regions(run, "validation", localizer, composers[1], 1, options),
    )
    task = finetune.crop_task(composers, squares, stage, recipe.lnet)
    if stage.start != "nothing" and not options.resume:
        start_from(run / stage.start, task.model, "lnet")
    return train(task, stage.loop, run / task.name, options)


def train_center_net(data: Path, run: Path, recipe: Recipe, options: RunOptions, boxes: Path | None = None) -> Outcome:
    """Train the centre network in run/center_net on detection scenes; decoded pictures are kept in run/pictures.

    Args:
        boxes: a boxes file, whose photographs are shown too; run/center_net/boxes.json says which it was.

    Raises:
        DataError: data or an earlier centre network is missing, the boxes file is malformed, or a resumed training had
            other boxes.
    """
    stage, folder, own = recipe.center_net, DataFolder(data), run / "center_net"
    files = None if boxes is None else load_boxed_files(boxes, stage.confidence)
    checkpoint.keep_record(own / BOXES, None if files is None else files.record(), options.resume)
    train_scenes, validation_scenes = detection_composers(folder, run / "pictures", stage)
    boxed = None if files is None else boxed_images(files, run / "pictures", stage)
    task = CenterNetTask(train_scenes, validation_scenes, stage, boxed)
    if stage.start == "earlier" and not options.resume:
        _load(task.model, own, checkpoint.best_state(own))
    return train(task, stage.loop, own, options)


@dataclass(frozen=True)
class FaceData:
    """What a stage on faces trains on, all of it read; `half_images`, `labelled` and `people` where it names them."""

    split: finetune.Split
    half_images: CelebA | None
    labelled: tuple[list[str], TagLabels] | None
    people: list[Person] | None


def finetune_teacher(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Train the teacher of ANet in run/anet_teacher, on what `anet_teacher` of the recipe names.

    Raises:
        DataError: data, or a net that finds the faces of labelled photographs, is missing.
    """
    stage = recipe.anet_teacher
    data_of = face_data(DataFolder(data), stage)
    view = replace(recipe, anet_attributes=stage)
    examples, validation = _face_examples(data_of, run, view, build_anet(recipe.anet).frame, options)
    torch.manual_seed(stage.loop.seed)
    net = TeacherNet(len(ATTRIBUTES), recipe.teacher, stage.dropout)
    task = finetune.FaceTask("anet_teacher", net, stage, examples, validation)
    return train(task, stage.loop, run / task.name, options)


def finetune_anet(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> Outcome:
    """Fine-tune ANet on the face regions that the recipe's finder proposes: in run/anet_attributes on the LNets', in
    run/anet_attributes_center_net on the centre network's.

    Raises:
        DataError: data, a net that finds faces, the pre-trained ANet or its teacher is missing.
    """
    stage = recipe.anet_attributes
    data_of = face_data(DataFolder(data), stage)
    torch.manual_seed(stage.loop.seed)
    net = AttributeNet(len(ATTRIBUTES), recipe.anet, stage.dropout)
    if stage.start == "identities" and not options.resume:
        start_from(run / "anet_identities", net, "anet")
    elif stage.start == "earlier" and not options.resume:
        earlier = run / by_localizer("anet_attributes", recipe)
        _load(net, earlier, checkpoint.best_state(earlier))
    task = face_task(data_of, run, recipe, net, options)
    return train(task, stage.loop, run / by_localizer("anet_attributes", recipe), options)


def face_task(data: FaceData, run: Path, recipe: Recipe, net: AttributeNet, options: RunOptions) -> finetune.FaceTask:
    """What the stage `anet_attributes` trains a net on, and validates it by.

    Raises:
        DataError: a net that finds faces, or the teacher is missing.
    """
    stage = recipe.anet_attributes
    teacher = trained_teacher(run, recipe) if stage.teacher_weight else None
    examples, validation = _face_examples(data, run, recipe, net.anet.frame, options)
    return finetune.FaceTask("anet_attributes", net, stage, examples, validation, teacher)


def face_data(folder: DataFolder, stage: FaceStage) -> FaceData:
    """What the stage names.

    Raises:
        DataError: some of it is missing.
    """
    return FaceData(
        labelled=folder.labeled_images("train") if stage.labeled_images else None,
        people=folder.utkface("train") if stage.utkface else None,
        half_images=folder.half_head_images() if stage.half_images else None,
        split=finetune.split_training(folder.celeba(), stage.held_out),
    )


def _face_examples(
    data: FaceData, run: Path, recipe: Recipe, frame: Frame, options: RunOptions
) -> tuple[Faces | MixedFaces, Faces]:
    """What the stage `anet_attributes` of the recipe trains on, and what validates it."""
    stage = recipe.anet_attributes
    boxes, view = face_boxes(run, recipe, options), (recipe.tagger, frame, stage)
    examples: Faces | MixedFaces
    examples, validation = (
        finetune.face_examples(part, boxes(name, part.paths), *view, jittered)
        for name, part, jittered in (("train", data.split.train, True), ("validation", data.split.validation, False))
    )
    if data.half_images is not None:
        half = finetune.split_training(data.half_images, stage.held_out).train
        halves = aligned_boxes(len(half), scale=0.5)
        examples = MixedFaces(examples, finetune.face_examples(half, halves, *view, jittered=True))
    if data.labelled:
        paths, labels = data.labelled
        found = located_boxes(run, recipe, options)("labelled", paths)
        images = finetune.labeled_image_examples(paths, labels, found, *view)
        examples = MixedFaces(examples, images, stage.labeled_images)
    if data.people:
        examples = MixedFaces(examples, finetune.utkface_examples(data.people, *view), stage.utkface)
    return examples, validation


def finetune_all(data: Path, run: Path, recipe: Recipe, options: RunOptions, out: Path) -> Outcome:
    """LNet_o and LNet_s or the centre network, as the recipe needs them, ANet and the SVMs; with `options.resume`
    finished stages are kept and begun ones go on.

    Raises:
        DataError: data or a pre-trained net is missing.
    """
    if recipe.anet_attributes.labeled_images:  # what is missing is to be said before hours of other stages
        DataFolder(data).labeled_images("train")
    if recipe.svm.labeled_images:
        DataFolder(data).labeled_images("calibrate")
    if recipe.anet_attributes.utkface or recipe.svm.utkface:
        DataFolder(data).utkface("train")
    asked = {"lnet_o": finetune_lnet_o, "lnet_s": finetune_lnet_s} if recipe.needs_lnets else {}
    if recipe.localizer_kind == "center_net":
        asked["center_net"] = train_center_net
    if recipe.anet_attributes.teacher_weight:
        asked["anet_teacher"] = finetune_teacher
    asked[by_localizer("anet_attributes", recipe)] = finetune_anet
    _require_starts(run, recipe)
    stages = {name: partial(stage, data, run, recipe) for name, stage in asked.items()}
    outcome = _one_after_another(stages, run, options)
    return replace(outcome, best=fit_svm(data, run, recipe, options, out).accuracy) if outcome.finished else outcome


def _require_starts(run: Path, recipe: Recipe) -> None:
    """What stages start from that are not among those of `finetune_all`.

    Raises:
        DataError: one of them is not trained yet.
    """
    earlier = by_localizer("anet_attributes", recipe)
    anet = {"identities": "anet_identities", "earlier": earlier, "nothing": "nothing"}
    lnets = {recipe.lnet_o.start, recipe.lnet_s.start} if recipe.needs_lnets else set()
    starts = {*lnets, anet[recipe.anet_attributes.start]}
    if recipe.localizer_kind == "center_net" and recipe.center_net.start == "earlier":
        starts.add("center_net")
    for name in sorted(starts - {"nothing", "lnet_o"}):
        checkpoint.best_state(run / name)


def _one_after_another(
    stages: Mapping[str, Callable[[RunOptions], Outcome]], run: Path, options: RunOptions
) -> Outcome:
    """Stages by their folders in the run; those that have a checkpoint resume, when asked to, and others begin. When
    not asked to, checkpoints of an earlier training are forgotten first, or a later --resume would take them for this
    one's."""
    if not options.resume:
        for name in stages:
            (run / name / checkpoint.CHECKPOINT).unlink(missing_ok=True)
    started, steps, best = time.monotonic(), 0, -math.inf
    for name, stage in stages.items():
        left = None if options.max_time is None else options.max_time - (time.monotonic() - started)
        begun = (run / name / checkpoint.CHECKPOINT).is_file()
        outcome = stage(replace(options, resume=options.resume and begun, max_time=left))
        steps, best = steps + outcome.steps, outcome.best
        if not outcome.finished:
            return Outcome(False, steps, best)
    return Outcome(True, steps, best)


def start_from(folder: Path, model: nn.Module, part: str) -> None:
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
