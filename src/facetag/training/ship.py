"""From the trained nets of a run to a model folder: SVMs, calibration, what is said of how it was made."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.datasets.celeba import CelebA
from facetag.datasets.utkface import Person, attribute_labels
from facetag.errors import DataError
from facetag.model import Model, save_model
from facetag.networks.anet import FEATURES
from facetag.settings import plain
from facetag.tagger import FeatureExtractor, face_regions
from facetag.training import checkpoint
from facetag.training.card import model_card
from facetag.training.data import DataFolder
from facetag.training.examples import read_rgb
from facetag.training.finetune import split_training
from facetag.training.fit import Features, Fitted, LabeledFaces, fit, require_identities
from facetag.training.loop import RunOptions
from facetag.training.propose import Boxes, as_box, chip_boxes
from facetag.training.proposed import Paths, located_boxes, progress, proposed_faces
from facetag.training.recipe import Recipe
from facetag.training.train_center_net import BOXES
from facetag.training.trained import by_localizer, has_stage, trained_attribute_net, trained_face_localizer

ADULT = 20  #: years; thresholds of equal error are even over faces that are not known to be younger


def fit_svm(data: Path, run: Path, recipe: Recipe, options: RunOptions, out: Path) -> Fitted:
    """Fit the SVMs on partition 1, whose identities no net saw, and write the model folder.

    Raises:
        DataError: data or a trained net is missing, partition 1 has too few identities, or a net is not of this recipe.
    """
    celeba = DataFolder(data).celeba()
    svms = _for_svms(celeba, data, recipe)
    labelled = DataFolder(data).labeled_images("calibrate") if recipe.svm.labeled_images else None
    record = training_record(run, recipe)
    record["data"] = data_counts(data, celeba, "lnet_plus" in record["validation"])
    half_images = DataFolder(data).half_head_images() if recipe.anet_attributes.half_images else None
    if half_images is not None:
        record["data"]["celeba"]["half"] = len(split_training(half_images, recipe.anet_attributes.held_out).train)
    if recipe.anet_attributes.utkface or recipe.svm.utkface:
        record["data"]["utkface"] = utkface_counts(data, recipe)
    if recipe.anet_attributes.labeled_images:
        record["data"]["labelled"] = labelled_counts(data, run, recipe, options)
    sight = _Sight(run, recipe, options)
    found, features = sight("svm", [str(path) for path in svms.paths])
    images = None
    if labelled:
        there, others = sight("calibration", labelled[0])
        images = LabeledFaces(others, labelled[1].values[there])
        if recipe.svm.utkface:
            images = images.joined(sight.of_people(DataFolder(data).utkface("calibrate")))
    chosen = svms.select(found)
    fitted = fit(features, chosen.attributes == 1, chosen.identities, recipe.svm, -1, sight.outputs, images)
    record["svm"] = {
        "faces": len(chosen),
        "without_a_box": int((~found).sum()),
        "cost": fitted.cost,
        "pull": fitted.pull,
        "cross_fitted_accuracy": fitted.accuracy,
        "photographs": 0 if images is None else int(there.sum()),
    }
    model = _model_of(out.name, sight, fitted, record)
    save_model(model, out, model_card(model))
    return fitted


def _for_svms(celeba: CelebA, data: Path, recipe: Recipe) -> CelebA:
    """Partition 1.

    Raises:
        DataError: it is empty, or its identities are too few.
    """
    svms = celeba.subset(1)
    if not len(svms):
        raise DataError(f"{data} has no CelebA picture of partition 1 to fit the SVMs on", "arrange them too")
    require_identities(svms.identities, recipe.svm.folds)
    return svms


class _Sight:
    """What a run's nets see in pictures.

    Attributes:
        localizer: finds the faces.
        anet: rounded as it will be saved, so that the SVMs see what users will.
        outputs: (A, D): weights of the fine-tuned attributes' outputs on the features of all views.
    """

    def __init__(self, run: Path, recipe: Recipe, options: RunOptions) -> None:
        self.run, self.recipe, self.options = run, recipe, options
        self.localizer, tuned = trained_face_localizer(run, recipe, options.device), trained_attribute_net(run, recipe)
        self.anet = tuned.anet.folded().half().float()
        views = recipe.tagger.width // FEATURES
        self.outputs = np.tile(tuned.outputs.weight.numpy(), views) / views

    def __call__(self, part: str, paths: list[str]) -> tuple[NDArray[np.bool_], Features]:
        """Of a part by its name: in which pictures (N,) a face was found, and the features (found, D) of these.

        Raises:
            DataError: in none.
        """
        recipe, options = self.recipe, self.options
        boxes = proposed_faces(self.run, by_localizer(part, recipe), self.localizer, paths, options)
        found = ~np.isnan(boxes[:, 0])
        if not found.any():
            raise DataError(f"no face was found in any picture of the {part} part", "train what finds them longer")
        return found, region_features(self._extractor(), list(compress(paths, found)), boxes[found], options)

    def of_people(self, people: Sequence[Person]) -> LabeledFaces:
        """Faces of UTKFace, each where a chip has it, with their Male and Young."""
        paths, boxes = [person.path for person in people], chip_boxes(len(people))
        features = region_features(self._extractor(), paths, boxes, self.options)
        children = np.array([person.age < ADULT for person in people])
        return LabeledFaces(features, attribute_labels(people, self.recipe.anet_attributes.young_below), children)

    def _extractor(self) -> FeatureExtractor:
        return FeatureExtractor(self.anet, self.recipe.tagger, self.options.device)


def _model_of(name: str, sight: _Sight, fitted: Fitted, record: dict[str, Any]) -> Model:
    """What will be saved."""
    return Model(
        name=name,
        **sight.localizer.model_fields(),
        anet=sight.anet.cpu(),
        svm=fitted.svm,
        calibration=fitted.calibration,
        thresholds=fitted.thresholds,
        localizer=plain(sight.localizer.settings),
        tagger=plain(sight.recipe.tagger),
        training=record,
    )


def region_features(extract: FeatureExtractor, paths: Paths, boxes: Boxes, options: RunOptions) -> Features:
    """h_a of each image's face: (N, D)."""
    settings, frame, parts = extract.settings, extract.anet.frame, []
    report = progress("features", options)
    for start in range(0, len(paths), 512):
        rows = range(start, min(start + 512, len(paths)))
        regions = [face_regions(read_rgb(str(paths[i])), as_box(boxes[i]), settings, frame) for i in rows]
        parts.append(extract(regions))
        report(rows.stop, len(paths))
    return np.concatenate(parts)


def training_record(run: Path, recipe: Recipe) -> dict[str, Any]:
    """How the nets were made, for model.json; `settings_checked`: the stages whose checkpoint agrees with the recipe.

    Raises:
        DataError: a stage was trained with other settings than the recipe's.
    """
    trained = [stage for stage in _stages_behind(recipe) if has_stage(run, stage)]
    checked = [stage for stage in trained if _settings_agree(run, recipe, stage)]
    figures = {stage: checkpoint.figures(run / stage) for stage in trained}
    boxes = checkpoint.read_record(run / "center_net" / BOXES) if "center_net" in trained else None
    record = {"recipe": plain(recipe), "validation": figures, "settings_checked": checked}
    return record if boxes is None else {**record, "boxes": boxes}


def _stages_behind(recipe: Recipe) -> list[str]:
    """The stages that the recipe's model comes from, in the paper's order; a start from nothing needs none before."""
    needed = {
        "lnet_plus": recipe.needs_lnets and "lnet_plus" in (recipe.lnet_o.start, recipe.lnet_s.start),
        "lnet_o": recipe.needs_lnets,
        "lnet_s": recipe.needs_lnets,
        "anet_identities": recipe.anet_attributes.start == "identities",
        "center_net": recipe.localizer_kind == "center_net",
        "anet_teacher": recipe.anet_attributes.teacher_weight > 0,
        "anet_attributes": recipe.needs_lnets,
        by_localizer("anet_attributes", recipe): True,
    }
    return [stage for stage, wanted in needed.items() if wanted]


def _settings_agree(run: Path, recipe: Recipe, name: str) -> bool:
    """True when the stage's checkpoint says these settings; False when there is none any more."""
    if not (run / name / checkpoint.CHECKPOINT).is_file():
        return False
    own: dict[str, Any] = {by_localizer("anet_attributes", recipe): recipe.anet_attributes}
    stage = own[name] if name in own else getattr(recipe, name)
    try:
        checkpoint.load(run / name, stage.loop, stage, device=torch.device("cpu"))
    except DataError as error:
        raise DataError(f"stage {name}: {error.args[0]}", f"use its recipe, or train {name} again") from error
    return True


def data_counts(data: Path, celeba: CelebA, with_objects: bool) -> dict[str, Any]:
    """How many pictures a model comes from: scenes where the data folder still has them, object categories where the
    model learned them too."""
    nets, svms = int((celeba.partition == 0).sum()), int((celeba.partition == 1).sum())
    counts: dict[str, Any] = {"celeba": {"nets": nets, "svms": svms}}
    folder = DataFolder(data)
    if (data / "objects").is_dir():
        counts["sets"] = folder.set_names(with_objects)
        if with_objects:
            objects = folder.objects()
            counts["objects"] = {"images": len(objects.paths), "classes": len(objects.class_names)}
        if (data / "backgrounds").is_dir():
            groups = folder.backgrounds()
            counts["backgrounds"] = {"images": sum(map(len, groups)), "groups": len(groups)}
    return counts


def labelled_counts(data: Path, run: Path, recipe: Recipe, options: RunOptions) -> dict[str, Any]:
    """How many labelled photographs ANet saw a face of, and labels of which attributes.

    Raises:
        DataError: the labels are not there any more.
    """
    paths, labels = DataFolder(data).labeled_images("train")
    boxes = located_boxes(run, recipe, options)("labelled", paths)
    names = [ATTRIBUTES[index] for index in labels.attributes]
    return {"photographs": int((~np.isnan(boxes[:, 0])).sum()), "attributes": names}


def utkface_counts(data: Path, recipe: Recipe) -> dict[str, Any]:
    """How many faces of UTKFace ANet learned from and how many calibrate, and from which age on nobody is Young.

    Raises:
        DataError: there are none.
    """
    folder, stage = DataFolder(data), recipe.anet_attributes
    return {
        "train": len(folder.utkface("train")) if stage.utkface else 0,
        "calibrate": len(folder.utkface("calibrate")) if recipe.svm.utkface else 0,
        "young_below": stage.young_below,
    }
