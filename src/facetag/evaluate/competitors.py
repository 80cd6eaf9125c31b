"""What each system answers for the test images, trained on the same CelebA (paper, Table 1 and Fig. 13).

Nets learn from partition 0, SVMs on their features from partition 1, FaceTracer's from partition 0; the test is
partition 2. All that takes long is kept in a folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.datasets.augment import ColourSettings
from facetag.datasets.celeba import CelebA
from facetag.evaluate.attributes import Locate, tag_images
from facetag.evaluate.image_batches import Progress, evenly
from facetag.evaluate.labeled_faces import LabeledImages, celeba_images, face_features, layers_of
from facetag.networks.anet_heads import AttributeNet
from facetag.tagger import Tagger
from facetag.training.competitors import facetracer, panda
from facetag.training.competitors.anet import AnetStart, anet_features, train_anet
from facetag.training.competitors.kept import Arrays, kept, key_of, names_of
from facetag.training.competitors.linear import fit_calibrated
from facetag.training.competitors.placement import FaceBoxes
from facetag.training.examples import Faces
from facetag.training.pretrain import in_batches
from facetag.training.propose import aligned_boxes
from facetag.training.recipe import JitterSettings, Recipe
from facetag.training.trained import trained_attribute_net

#: Progress of what is named.
Report = Callable[[str], Progress]

_FROZEN_COSTS = (0.0003, 0.003)
PANDA = panda.PandaSettings()
STEPS = 600  #: of an ANet that learns from few images, at least

FIXED = ", fixed boxes"  #: behind a model's name where its faces are not found but lie where the aligned frame has them

_VERSION = 1  #: of what is kept


@dataclass(frozen=True, eq=False)
class Answers:
    """What one system says of N test images.

    Attributes:
        name: of the system.
        probabilities: (N, A); nan where it found no face.
        present: (N, A) decisions; False where it found no face.
        images: how many it learned from; 0 where that is not known here.
    """

    name: str
    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]
    images: int = 0

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N,) whether it answered."""
        return ~np.isnan(self.probabilities[:, 0])


@dataclass(frozen=True, eq=False)
class Arena:
    """The images that systems learn from and answer, and where what they learned is kept.

    Attributes:
        training: of partition 0, at most as many as were asked for.
        fractions: (A,) of partition 0 in which each attribute is present.
        fitting: partition 1.
        test: of partition 2.
    """

    training: LabeledImages
    fractions: NDArray[np.float64]
    fitting: LabeledImages
    test: LabeledImages
    work: Path
    report: Report

    def first(self, count: int) -> NDArray[np.int64]:
        """So many of the training images, spread evenly."""
        return np.array(evenly(len(self.training.paths), count))


def arena(
    celeba: CelebA, fractions: NDArray[np.float64], test: CelebA, count: int, work: Path, report: Report
) -> Arena:
    """At most `count` training images, spread evenly over partition 0."""
    training = celeba_images(celeba.subset(0))
    chosen = training.select(np.array(evenly(len(training.paths), count)))
    return Arena(chosen, fractions, celeba_images(celeba.subset(1)), celeba_images(test), work, report)


def constant(given: Arena) -> Answers:
    """The majority value of partition 0 for everybody."""
    probabilities = np.tile(given.fractions, (len(given.test.paths), 1))
    return Answers("constant", probabilities, probabilities > 0.5)


def face_tracer(given: Arena, count: int | None = None, part: Literal["train", "fit"] = "train") -> Answers:
    """FaceTracer on so many training images, or on those that fit the others' SVMs; all of them for None."""
    images = given.training if part == "train" else given.fitting
    rows = np.array(evenly(len(images.paths), count))
    chosen = images.select(rows)
    key = key_of(_VERSION, "facetracer", names_of(chosen.paths), names_of(given.test.paths))

    def make() -> Arrays:
        features, columns = _histograms(given, part, images), facetracer.block_columns(chosen.paths[0])
        learned = facetracer.train_facetracer(features[rows], chosen.values == 1, chosen.identities, columns)
        test = _histograms(given, "test", given.test)
        return {"probabilities": learned.probabilities(test), "chosen": learned.chosen}

    answers = kept(given.work / f"facetracer-{part}-{len(rows)}.npz", key, make)["probabilities"]
    return Answers("FaceTracer", answers, answers >= 0.5, len(rows))


def panda_parts(
    given: Arena,
    boxes: FaceBoxes | None = None,
    count: int | None = None,
    fitting_count: int | None = None,
    settings: panda.PandaSettings | None = None,
    left_out: Sequence[str] = (),
) -> Answers:
    """PANDA-l, or PANDA-w by a detector's boxes; images without a box are not learned from and not answered.

    Nets learn from `count` of the training images and SVMs from `fitting_count` of partition 1; all of them for None.
    Attributes that are left out teach the SVMs alone.
    """
    settings = settings or PANDA
    name, rows = "PANDA-w" if boxes else "PANDA-l", given.first(count or len(given.training.paths))
    faces = given.fitting.select(np.array(evenly(len(given.fitting.paths), fitting_count)))
    train, fitting = (_boxed(each, boxes) for each in (given.training.select(rows), faces))
    test, here = _boxed(given.test, boxes), _has_box(given.test, boxes)
    lists = [names_of(each.paths) for each in (train, fitting, given.test)]
    key = key_of(_VERSION, name, lists, boxes and boxes.usual, settings, tuple(left_out))

    def make() -> Arrays:
        crops = _crops(given, f"train-{len(rows)}", train, boxes)
        nets = panda.train_panda(crops, train.values == 1, settings, given.report(f"steps of {name}"), left_out)
        parts = ((f"fit-{len(faces.paths)}", fitting), ("test", test))
        seen = [panda.panda_features(nets, _crops(given, *part, boxes)) for part in parts]
        svm = fit_calibrated(seen[0], fitting.values == 1, fitting.identities, costs=_FROZEN_COSTS)
        answers = np.full(given.test.values.shape, np.nan)
        answers[here] = svm.probabilities(seen[1])
        return {"probabilities": answers}

    file = f"{name}-{len(rows)}-{len(faces.paths)}-{len(left_out)}.npz"
    answers = kept(given.work / file, key, make)["probabilities"]
    return Answers(name, answers, answers >= 0.5, len(train.paths))


def few_images(given: Arena, count: int) -> tuple[int, int]:
    """How many of so many images nets learn from, and how many SVMs: a third where partition 1 has so many."""
    nets = min(max(count - count // 3, count - len(given.fitting.paths)), len(given.training.paths))
    return nets, min(count - nets, len(given.fitting.paths))


def panda_of_few(given: Arena, count: int) -> Answers:
    """PANDA-l on so many images, nets and SVMs together."""
    nets, svms = few_images(given, count)
    return replace(panda_parts(given, count=nets, fitting_count=svms), images=nets + svms)


def anet_of_few(given: Arena, start: AnetStart, count: int, device: torch.device) -> Answers:
    """An ANet with its SVMs on so many images together, faces where the aligned frame has them."""
    nets, svms = few_images(given, count)
    train = given.training.select(given.first(nets))
    fitting = given.fitting.select(np.array(evenly(len(given.fitting.paths), svms)))
    lists = [names_of(each.paths) for each in (train, fitting, given.test)]
    settings = (start.recipe.anet, start.recipe.tagger, start.stage(nets, STEPS))
    key = key_of(_VERSION, start.name, start.digest(), settings, lists)

    def make() -> Arrays:
        folder = given.work / f"anet-{key[:12]}"
        net = train_anet(start, train.paths, train.values, folder, STEPS, device, given.report(f"steps, {start.name}"))
        seen = [anet_features(start, net, part.paths, device) for part in (fitting, given.test)]
        svm = fit_calibrated(seen[0], fitting.values == 1, fitting.identities, costs=_FROZEN_COSTS)
        return {"probabilities": svm.probabilities(seen[1])}

    answers = kept(given.work / f"anet-{key[:12]}.npz", key, make)["probabilities"]
    return Answers(start.name, answers, answers >= 0.5, nets + svms)


def svms_of_run(given: Arena, name: str, run: Path, recipe: Recipe, device: torch.device) -> list[Answers]:
    """SVMs of partition 1 on a run's fine-tuned ANet, faces where the aligned frame has them: on C3, C4 and FC
    together, then on FC's features alone, as in use.

    Raises:
        DataError: the run has no such net, or one of another recipe.
    """
    net, view, parts = trained_attribute_net(run, recipe), AnetStart(name, recipe), (given.fitting, given.test)
    seen = {
        f"{name}, every layer": [_layers(view, net, part.paths, device) for part in parts],
        name: [anet_features(view, net, part.paths, device) for part in parts],
    }
    systems = []
    for title, (fitting, test) in seen.items():
        svm = fit_calibrated(fitting, given.fitting.values == 1, given.fitting.identities, costs=_FROZEN_COSTS)
        answers = svm.probabilities(test)
        systems.append(Answers(title, answers, answers >= 0.5, len(fitting)))
    return systems


def _layers(view: AnetStart, net: AttributeNet, paths: Sequence[Path], device: torch.device) -> NDArray[np.float32]:
    """C3, C4 and FC of aligned images in one view: (N, D)."""
    anet, nothing = net.anet.folded(), torch.zeros(len(paths), 0)
    plain = (view.recipe.tagger, JitterSettings(), ColourSettings(), 0, anet.frame)
    faces = Faces([str(path) for path in paths], aligned_boxes(len(paths)), nothing, *plain)
    answers = [torch.cat(list(layers_of(anet, images).values()), 1) for images, _ in in_batches(faces, device, 256)]
    return torch.cat(answers).numpy()


def model_answers(given: Arena, name: str, locate: Locate, tagger: Tagger, read_size: int) -> Answers:
    """What a model says, as `facetag predict` would."""
    key = key_of(_VERSION, tagger.model.fingerprint, name, names_of(given.test.paths))

    def make() -> Arrays:
        tagged = tag_images(given.test.paths, locate, tagger, given.report(f"images by {name}"), read_size)
        return {"probabilities": tagged.probabilities, "present": tagged.present.astype(np.float64)}

    found = kept(given.work / f"model-{tagger.model.fingerprint[:12]}-{key[:8]}.npz", key, make)
    return Answers(name, found["probabilities"], found["present"] > 0)


def frozen_svms(given: Arena, tagger: Tagger, locate: Locate, counts: Sequence[int]) -> list[Answers]:
    """SVMs on a model's features, learned from so many images of partition 1 each; its nets stay as they are."""
    fitting, test = (_features(given, part, tagger, locate) for part in (given.fitting, given.test))
    answers = []
    for count in counts:
        rows = np.array(evenly(len(fitting[0]), count))
        faces = given.fitting.select(fitting[0][rows])
        svm = fit_calibrated(fitting[1][rows], faces.values == 1, faces.identities, costs=_FROZEN_COSTS)
        found = np.full(given.test.values.shape, np.nan)
        found[test[0]] = svm.probabilities(test[1])
        answers.append(Answers(f"SVMs on {tagger.model.name}'s features", found, found >= 0.5, len(rows)))
    return answers


def _features(
    given: Arena, images: LabeledImages, tagger: Tagger, locate: Locate
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """In which images a face was found, and its features."""
    key = key_of(_VERSION, "features", tagger.model.fingerprint, locate.__name__, names_of(images.paths))

    def make() -> Arrays:
        rows, features = face_features(images.paths, locate, tagger, given.report("images"))
        return {"rows": rows, "features": features}

    found = kept(given.work / f"features-{key[:12]}.npz", key, make)
    return found["rows"], found["features"]


def _histograms(given: Arena, part: str, images: LabeledImages) -> NDArray[np.float32]:
    key = key_of(_VERSION, "histograms", names_of(images.paths))
    report = given.report(f"images by FaceTracer ({part})")

    def make() -> Arrays:
        return {"features": facetracer.describe_all(images.paths, report).astype(np.float16)}

    return kept(given.work / f"histograms-{part}.npz", key, make)["features"].astype(np.float32)


def _crops(given: Arena, part: str, images: LabeledImages, boxes: FaceBoxes | None) -> panda.Crops:
    placed = None if boxes is None else (boxes.usual, [boxes.found(path) for path in images.paths])
    key = key_of(_VERSION, "crops", names_of(images.paths), placed)
    kind = "w" if boxes else "l"

    def make() -> Arrays:
        return {"crops": panda.part_crops(images.paths, boxes, given.report(f"images by PANDA-{kind} ({part})"))}

    return kept(given.work / f"crops-{kind}-{part}.npz", key, make)["crops"]


def _has_box(images: LabeledImages, boxes: FaceBoxes | None) -> NDArray[np.bool_]:
    return np.array([boxes is None or boxes.found(path) is not None for path in images.paths])


def _boxed(images: LabeledImages, boxes: FaceBoxes | None) -> LabeledImages:
    return images.select(np.flatnonzero(_has_box(images, boxes)))
