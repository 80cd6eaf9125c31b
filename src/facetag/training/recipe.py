"""A recipe: every setting of every stage in one TOML file, which the commands read and the model records.

Sections are the stages in the paper's order (section 4); what a recipe leaves out has the paper's value, or that of
the shipped recipe that it names as its `base`.
"""

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.datasets.augment import ColourSettings
from facetag.datasets.detection_scenes import DetectionSceneSettings
from facetag.datasets.scenes import SceneSettings
from facetag.errors import DataError, UsageError
from facetag.localization.center_localizer import CenterLocalizerSettings
from facetag.localization.lnet_localizer import LocalizerSettings
from facetag.networks.anet import ANetSettings
from facetag.networks.center_net import CenterNetSettings
from facetag.networks.lnet import HeadSettings, LNetSettings
from facetag.networks.teacher_net import TeacherSettings
from facetag.settings import settings_from, with_new_keys
from facetag.tagger import TaggerSettings
from facetag.training.loop import LoopSettings


@dataclass(frozen=True)
class ObjectStage:
    """Pre-training of LNet+ on object categories.

    Attributes:
        input_size: pixels of the square input.
        crops: `ten` = one of the paper's ten patches; `random` = a random square of random size.
        held_out: share of the pictures that validates.
    """

    input_size: int = 227
    crops: Literal["ten", "random"] = "ten"
    held_out: float = 0.02
    head: HeadSettings = field(default_factory=HeadSettings)
    colour: ColourSettings = field(default_factory=ColourSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)


@dataclass(frozen=True)
class SceneStage:
    """Fine-tuning of LNet_o by attributes on composed whole images x_o.

    Attributes:
        start: from LNet+, or from nothing (the paper's comparison).
        held_out: share of the training identities that validates.
        any_weight: weight of the output "any attribute" in the loss, as many single attributes.
        tags: the attributes that teach and validate; none = all (paper, Fig. 2: few against many).
        response: `mean` = the paper's plain average over channels, never negative, so that every score is at least
            0.5 and the localizer's `score` has to lie above it; `any` = channels weighted by what they give to "any
            attribute" (needs a pooled head without hidden layers).

    Raises:
        UsageError: a tag is no attribute.
    """

    start: Literal["lnet_plus", "nothing"] = "lnet_plus"
    held_out: float = 0.05
    any_weight: float = 1.0
    tags: tuple[str, ...] = ()
    response: Literal["mean", "any"] = "mean"
    head: HeadSettings = field(default_factory=lambda: HeadSettings(hidden=(512, 512)))
    scenes: SceneSettings = field(default_factory=SceneSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        attribute_indices(self.tags)


@dataclass(frozen=True)
class CropStage:
    """Fine-tuning of LNet_s by attributes on the head-shoulder crops x_s that LNet_o proposes.

    Attributes:
        start: from LNet+ (the paper), from the trained LNet_o, or from nothing.
        input_size: pixels of x_s.
        scenes: the whole images that LNet_o is shown.
        input_sizes: the sides at which LNet_o sees them; none = the localizer's.
        shift, scale: a crop is moved by up to this share of its side and resized by up to this factor each way.
        others: chance that a crop is larger or smaller than LNet_o's square by a factor of `nearest` to `furthest`;
            it brings no tag.
        rounds: how many scenes are composed for each training head.
        colour: applied to the crop.
    """

    start: Literal["lnet_plus", "lnet_o", "nothing"] = "lnet_plus"
    held_out: float = 0.05
    any_weight: float = 1.0
    response: Literal["mean", "any"] = "mean"
    input_size: int = 227
    input_sizes: tuple[int, ...] = ()
    shift: float = 0.0
    scale: float = 1.0
    others: float = 0.0
    nearest: float = 1.4
    furthest: float = 3.0
    rounds: int = 1
    head: HeadSettings = field(default_factory=lambda: HeadSettings(hidden=(512, 512)))
    scenes: SceneSettings = field(default_factory=SceneSettings)
    colour: ColourSettings = field(default_factory=ColourSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)


@dataclass(frozen=True)
class JitterSettings:
    """How the face window wanders inside x_f while ANet trains.

    Attributes:
        shift: largest move each way, in pixels of the 55 x 47 window.
        scale: largest factor of size each way.
        rotation: largest turn, degrees.
    """

    shift: float = 0.0
    scale: float = 1.0
    rotation: float = 0.0


@dataclass(frozen=True)
class IdentityStage:
    """Pre-training of ANet on identities.

    Attributes:
        identities: train on so many of the identities; 0 = all.
        people, images: identities in a batch and images of each.
        rounds: an epoch, after which the net is validated, shows each person so many times.
        similarity_weight: lambda of the similarity loss.
        contrastive_weight, temperature: of the contrastive loss beside these two; 0 = without it (the paper).
        dropout: between the features and the identities.
        held_out: share of the training identities that validates.

    Raises:
        UsageError: there are no rounds, or the temperature is not above zero.
    """

    identities: int = 0
    people: int = 64
    images: int = 2
    rounds: int = 1
    similarity_weight: float = 0.05
    contrastive_weight: float = 0.0
    temperature: float = 0.1
    dropout: float = 0.0
    held_out: float = 0.05
    jitter: JitterSettings = field(default_factory=JitterSettings)
    colour: ColourSettings = field(default_factory=ColourSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"rounds = {self.rounds} under [anet_identities] of the recipe", "give 1 or more")
        if self.temperature <= 0:
            raise UsageError(f"temperature = {self.temperature} of the recipe", "give more than 0, as 0.1")


@dataclass(frozen=True)
class FaceStage:
    """Fine-tuning of ANet by attributes on the face regions that the LNets or the centre network propose.

    Attributes:
        start: from the ANet pre-trained on identities, from nothing (the paper's comparison), or from what an `earlier`
            recipe's same stage left in the run, outputs and all.
        boxes: `located` = the faces that are proposed (the paper: by the LNets); `aligned` = the fixed box of the
            aligned frame, with a `jitter` as large as the LNets' errors; only `labeled_images` need a localizer then.
        input_sizes, head_regions: how LNet_o sees a training picture, which holds one large face, and how many of its
            heads LNet_s looks at; none and 0 = as the localizer says.
        dropout: between the features and the attributes.
        held_out: share of the training identities that validates.
        labeled_images: how often an epoch shows each labelled photograph that is to train on
            (`DataFolder.labeled_images`) beside CelebA; an attribute that it has no label of teaches nothing there.
        half_images: CelebA at half its size (celeba_half/) is shown as well; its heads lie in the aligned frame.
        utkface: how often an epoch shows each face of UTKFace that is to train on beside CelebA; it teaches Male and
            Young alone.
        young_below: the age in years from which on a face of UTKFace is not Young.
        tight: fraction of CelebA's images that are cut as tightly as UTKFace's, so that what is missing around a face
            tells nothing.
        teacher_weight: what the teacher answers to the same pixels has this weight in each target, in [0, 1], the label
            the rest; where an image has no label, it is the target. 0 = no teacher.
        left_out: attributes that teach nothing and are not validated: new ones to the net (paper, Fig. 12).
        mixup: alpha of the Beta distribution by which each batch is mixed with itself turned round, pixels and loss
            alike (mixup), against learning by heart; 0 = not.

    Raises:
        UsageError: the weight or mixup is out of its range, or an attribute is unknown.
    """

    start: Literal["identities", "nothing", "earlier"] = "identities"
    boxes: Literal["located", "aligned"] = "located"
    input_sizes: tuple[int, ...] = ()
    head_regions: int = 0
    dropout: float = 0.0
    held_out: float = 0.05
    labeled_images: int = 0
    half_images: bool = False
    utkface: int = 0
    young_below: float = 40.0
    tight: float = 0.0
    teacher_weight: float = 0.0
    left_out: tuple[str, ...] = ()
    mixup: float = 0.0
    jitter: JitterSettings = field(default_factory=JitterSettings)
    colour: ColourSettings = field(default_factory=ColourSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.teacher_weight <= 1:
            raise UsageError(f"teacher_weight = {self.teacher_weight} of the recipe", "give 0 to 1")
        if self.mixup < 0:
            raise UsageError(f"mixup = {self.mixup} of the recipe", "give 0 or more, as 0.2")
        attribute_indices(self.left_out)


@dataclass(frozen=True)
class FitStage:
    """The linear SVMs, their calibration and thresholds, on identities that no net saw.

    Attributes:
        costs: values of C to choose from, by cross-validation over identities.
        prior_weights: likewise how strongly an SVM's weights are pulled to those of the attribute's output in the
            fine-tuned ANet, which saw eight times as many faces: 0 = not at all (the paper); q counts that output,
            with a standard deviation of q, as a further feature.
        thresholds: a probability is present from the threshold of best accuracy on, or from a half on.
        folds: of that cross-validation; its held-out scores also give calibration and thresholds.
        labeled_images: share of the calibration that labelled photographs have which ANet did not learn from, in
            [0, 1); the rest is CelebA's, and so is an attribute that they have no label of.
        labeled_weight: SVMs learn from these photographs too, and each set of them weighs so many times as much as all
            of CelebA's faces, for the attributes that it labels. 0 = SVMs learn from CelebA alone (the paper).
        utkface: faces of UTKFace that ANet did not learn from are among these photographs, with Male and Young.
        equal_error: attributes without which somebody is something else (a woman is not Male), so that a mistake wrongs
            one or the other: present from the threshold on by which both are told equally often, photographs and
            CelebA having their shares, children of UTKFace left out.

    Raises:
        UsageError: `equal_error` names what is no attribute.
    """

    costs: tuple[float, ...] = (0.001, 0.01, 0.1)
    prior_weights: tuple[float, ...] = (0.0,)
    thresholds: Literal["accuracy", "half"] = "accuracy"
    folds: int = 4
    labeled_images: float = 0.0
    labeled_weight: float = 0.0
    utkface: bool = False
    equal_error: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.equal_error) - set(ATTRIBUTES)):
            raise UsageError(
                f"equal_error = {unknown} under [svm] of the recipe is no attribute", "spell it as CelebA does"
            )


@dataclass(frozen=True)
class CenterNetStage:
    """Training of the centre network on detection scenes, and on photographs where a boxes file is given.

    Attributes:
        start: from nothing, or from the weights that an `earlier` recipe's same stage left in the run.
        held_out: fraction of the training identities that validates.
        scenes_per_epoch: scenes between validations.
        small_size, small_epochs: so many epochs begin with scenes of this side, which cost less.
        validation: scenes that validate.
        box_weight: of errors of boxes, next to the loss of the heatmap.
        negatives: negatives.csv of the data folder says where pictures only look like a face, and which do show one.
            The first are shown more often and blended in (`scenes.lookalikes`), the others are left out.
        boxed_images: fraction of the examples that are photographs of the boxes file, where one is given.
        confidence: a box of that file with a lower score, where it has scores, is an ignore region.
        scenes: how scenes are composed, of a side that is a multiple of 32.
        net: structure.

    Raises:
        UsageError: `boxed_images` is no fraction.
    """

    start: Literal["nothing", "earlier"] = "nothing"
    held_out: float = 0.02
    scenes_per_epoch: int = 16000
    small_size: int = 160
    small_epochs: int = 0
    validation: int = 256
    box_weight: float = 1.0
    negatives: bool = False
    boxed_images: float = 0.3
    confidence: float = 0.0
    scenes: DetectionSceneSettings = field(default_factory=DetectionSceneSettings)
    net: CenterNetSettings = field(default_factory=CenterNetSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.boxed_images <= 1:
            raise UsageError(f"boxed_images = {self.boxed_images} under [center_net] of the recipe", "set 0 to 1")


@dataclass(frozen=True)
class Recipe:
    """All stages. `lnet` and `anet` are the structures, which several stages share; `teacher` is that of
    `anet_teacher`, which sees x_f of `anet`.

    Attributes:
        note: what else is to be said of how a model came about, for its card.
        localizer_kind: what finds faces in the model: the `lnets`, or the `center_net`.

    Raises:
        UsageError: photographs are all of the calibration, or none of it with faces of UTKFace among them.
    """

    name: str = "paper"
    note: str = ""
    localizer_kind: Literal["lnets", "center_net"] = "lnets"
    lnet: LNetSettings = field(default_factory=LNetSettings)
    anet: ANetSettings = field(default_factory=ANetSettings)
    lnet_plus: ObjectStage = field(default_factory=ObjectStage)
    lnet_o: SceneStage = field(default_factory=SceneStage)
    lnet_s: CropStage = field(default_factory=CropStage)
    anet_identities: IdentityStage = field(default_factory=IdentityStage)
    anet_attributes: FaceStage = field(default_factory=FaceStage)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    anet_teacher: FaceStage = field(default_factory=lambda: FaceStage(start="nothing", boxes="aligned"))
    center_net: CenterNetStage = field(default_factory=CenterNetStage)
    svm: FitStage = field(default_factory=FitStage)
    localizer: LocalizerSettings = field(default_factory=LocalizerSettings)
    center_localizer: CenterLocalizerSettings = field(default_factory=CenterLocalizerSettings)
    tagger: TaggerSettings = field(default_factory=TaggerSettings)

    @property
    def needs_lnets(self) -> bool:
        """Whether LNets find the model's faces."""
        return self.localizer_kind == "lnets"

    def __post_init__(self) -> None:
        if self.svm.utkface and not self.svm.labeled_images:
            raise UsageError("svm.utkface needs a fraction of the calibration", "set svm.labeled_images")
        if not 0 <= self.svm.labeled_images < 1:
            raise UsageError(
                f"svm.labeled_images = {self.svm.labeled_images} is no share that leaves some", "set 0 to 0.9"
            )


def shipped_recipes() -> list[str]:
    """Names of the recipes inside the package."""
    folder = resources.files("facetag") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name_or_path: str) -> Recipe:
    """A shipped recipe by its name, or a TOML file by its path.

    Raises:
        DataError: there is no such recipe, or it is malformed, or a key in it is unknown.
    """
    try:
        return settings_from(Recipe, _values(name_or_path), f"recipe {name_or_path}")
    except RecursionError as error:
        raise DataError(f"recipe {name_or_path}: nested too deep", "mend its TOML") from error


def _values(name_or_path: str) -> dict[str, Any]:
    """A recipe's values over its base's."""
    values = _read(name_or_path)
    base = values.pop("base", None)
    if base is not None:
        if base not in shipped_recipes():
            raise DataError(f"recipe {name_or_path}: base {base!r} is no shipped recipe", "name a shipped one")
        values = _over(_values(base), values)
    return values


def _read(name_or_path: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = with_new_keys(tomllib.loads(_recipe_file(name_or_path).read_text(encoding="utf-8")))
        return values
    except OSError as error:
        raise DataError(f"recipe {name_or_path}: {error.strerror}", "give the path of a TOML file") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"recipe {name_or_path}: {reason}", "mend its TOML") from error


def _over(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The base with these values in place of its own, tables key by key."""
    merged = dict(base)
    for key, value in values.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _recipe_file(name_or_path: str) -> Traversable:
    if Path(name_or_path).suffix == ".toml":
        return Path(name_or_path)
    if name_or_path not in shipped_recipes():
        raise DataError(f"no recipe is called {name_or_path!r}", f"shipped: {', '.join(shipped_recipes())}")
    return resources.files("facetag") / "recipes" / f"{name_or_path}.toml"
