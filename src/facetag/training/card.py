"""CARD.md: what a model was trained on, how good it is, where it is weak and what it must not decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from facetag.attributes import ATTRIBUTES
from facetag.model import Model

_TEXT = """# Model card: {name}

{what}

**Attributes are appearances as annotators labelled them**, on pictures of celebrities. They are not facts about a
person, and several (Attractive, Big_Nose, Chubby, Young ...) are plain judgement.

## Data and licences
- Attributes and identities: CelebA's aligned images, official split: {nets} images train nets,\
{half} {svms} others SVMs.
  CelebA is for **non-commercial research** only, and so are weights trained on it (LICENSE-WEIGHTS.md).
- {objects}cenes without faces, which heads are put into:
{sets}
{boxes}{labelled}{calibrated}{utkface}{teacher}

## How it was trained
Recipe `{recipe}`, recorded whole in model.json. Validation figures of the nets that were kept, on identities (or
pictures) held out of the training partition:

{stages}

SVMs: {faces} faces of partition 1, C = {cost}; {missed} further images had no face found. Mean accuracy over the forty
attributes, cross-fitted by identity: {accuracy:.4f}.{even}{note}

<!-- measured -->
## Accuracy
Not measured yet: `facetag eval attributes --model {name} --card` writes this section.
<!-- /measured -->

## Limits
- CelebA shows celebrities, mostly young, light-skinned, frontal, well lit and made up. Expect more errors on everybody
  else, on children, profiles, masks, paintings, heavy blur and faces under about 20 pixels.
- Sex, age and ethnicity are not identities: `Male` and `Young` say how annotators read a picture.
- Faces may be missed, doubled or found where there is none.

## Must not be used for
Identifying people; decisions about employment, credit, insurance, housing, education, policing, migration or health;
inferring origin, orientation, belief or character; surveillance. No feature that could identify anybody is stored.
"""


_LNETS = """\
Finds faces and forty attributes in photographs by the cascade of Liu, Luo, Wang and Tang, "Deep Learning Face
Attributes in the Wild" (ICCV 2015): LNet_o and LNet_s localize, ANet describes, one linear SVM an attribute decides."""

_LNETS_BOXES = """\
- No face box was trained on: LNets learn from image-level tags of composed scenes, where a head of another size than
  the net is to look for brings no tag. One global convention (height and offset of a face box against a peak of the
  response, and how responses become scores) stands in the recipe; it is set with boxes of the tuning half of Caltech
  10k WebFaces (research)."""

_CENTER_NET = """\
Finds faces and forty attributes in photographs. {anet}
A small centre network localizes in the place of the LNets of Liu, Luo, Wang and Tang, "Deep Learning Face Attributes
in the Wild" (ICCV 2015), many times faster. That localization can be learned from attribute tags alone is the LNets'
claim, not the centre network's."""

_ANETS = {
    "paper": "ANet and the linear SVMs are the paper's.",
    "wide": """\
ANet sees twice the pixels of the paper's and nearly the whole head. It ends
as the paper's does: locally shared filters, 160 features, one linear SVM an attribute.""",
}

_CENTER_NET_BOXES = """\
- No box that a human drew was trained on. The centre network learned from heads of CelebA and tight face pictures
  (UTKFace, PINS; research) put into scenes without people, where each face lies where it was put. What its boxes are
  resized and moved by, and how its responses become scores, stands in the recipe; that is set with the boxes of the
  tuning half of Caltech 10k WebFaces (research)."""

_GIVEN_BOXES = """\
- The centre network learned from {faces} face boxes of {photographs} photographs (`--boxes`; model.json has the
  file's SHA-256; the recipe's note, or whoever trained it, knows who drew them). It also learned from heads of CelebA
  and tight face pictures (UTKFace, PINS; research) put into scenes without people, where each face lies where it was
  put. What its boxes are resized and moved by, and how its responses become scores, stands in the recipe; that is set
  with the boxes of the tuning half of Caltech 10k WebFaces (research)."""

_LABELLED = """
- ANet also learned from {photographs} photographs and from labels of theirs, {attributes}, which
  were given by eye where the case is plain (of that half by webfaces/tags.csv of the training data, of sets under
  photographs/ by their tags.csv; studies/ has those of the shipped models)."""

_CALIBRATED = """
- {photographs} other such photographs, whose labels ANet did not see, have {share:.0%} of the calibration of the
  attributes that they were labelled with by eye, where the case is plain (the same files); CelebA has the rest."""

_UTKFACE = """
- UTKFace (non-commercial research): {train} faces of all ages taught ANet Male and Young alone, and {calibrate} others
  calibrate these two beside the photographs. Sex and age are those of its file names, which are estimates that
  annotators checked. A face is Young below {young_below:g} years."""

_TEACHER = """
- The targets of ANet are {weight:.0%} what a larger network answers to the same pixels, which learned from such images
  and labels too; where a face has no label of an attribute, they are its answers alone. It does not ship."""

_SVMS_LEARNED = """
- The SVMs of the attributes that these label learned from them too: each set has {weight:.0%} of the weight of CelebA's
  faces. What calibrates is scored by SVMs that did not see it."""

_EQUAL_ERROR = """

{names}, where presence and absence are told equally often by the faces that calibrate and
are not known to be children's, so that mistakes wrong neither kind of people much more often than the other."""

#: Sets that are known by the names of their folders.
TERMS = {
    "caltech101": "Caltech-101 (research)",
    "hays": "Hays and Efros scenes (research)",
    "imagenet1000": "a sample of ImageNet (ImageNet terms)",
    "imagenette": "Imagenette (ImageNet terms)",
    "miniimagenet": "mini-ImageNet (ImageNet terms)",
    "scene15": "fifteen scene categories (research)",
}


def model_card(model: Model) -> str:
    """The card of a freshly fitted model; accuracy is filled in by the evaluation that measures it."""
    record = model.training
    svm: dict[str, Any] = record["svm"]
    data: dict[str, Any] = record["data"]
    center_net = _CENTER_NET.format(anet=_ANETS[model.anet.settings.kind])
    what, boxes = (_LNETS, _LNETS_BOXES) if model.center_net is None else (center_net, _center_net_boxes(record))
    return _TEXT.format(
        name=model.name,
        what=what,
        objects="Object categories for LNet+, and s" if "lnet_plus" in record["validation"] else "S",
        boxes=boxes,
        labelled=_labelled_line(data),
        calibrated=_calibrated_line(svm["photographs"], record["recipe"]["svm"]["labeled_images"]),
        utkface=_utkface_line(data) + _svms_line(record["recipe"]["svm"].get("labeled_weight", 0.0)),
        teacher=_teacher_line(record["recipe"]["anet_attributes"].get("teacher_weight", 0.0)),
        recipe=record["recipe"]["name"],
        nets=data["celeba"]["nets"],
        half=f"\n  {half} at half their size ANet too," if (half := data["celeba"].get("half")) else "",
        svms=data["celeba"]["svms"],
        sets="\n".join(f"  - {TERMS.get(name, f'{name} (terms: see its owner)')}" for name in data.get("sets", ())),
        stages="\n".join(_stage_line(name, figures) for name, figures in record["validation"].items()),
        faces=svm["faces"],
        missed=svm["without_a_box"],
        cost=svm["cost"],
        accuracy=svm["cross_fitted_accuracy"],
        even=_equal_error_lines(model, record["recipe"]["svm"].get("equal_error", ())),
        note=f"\n\n{note}" if (note := record["recipe"].get("note")) else "",
    )


def _center_net_boxes(record: Mapping[str, Any]) -> str:
    given: dict[str, Any] | None = record.get("boxes")
    return _CENTER_NET_BOXES if given is None else _GIVEN_BOXES.format(**given)


def _labelled_line(data: dict[str, Any]) -> str:
    labelled: dict[str, Any] | None = data.get("labelled")
    if labelled is None:
        return ""
    return _LABELLED.format(photographs=labelled["photographs"], attributes=", ".join(labelled["attributes"]))


def _utkface_line(data: dict[str, Any]) -> str:
    return _UTKFACE.format(**data["utkface"]) if "utkface" in data else ""


def _teacher_line(weight: float) -> str:
    return _TEACHER.format(weight=weight) if weight else ""


def _calibrated_line(images: int, fraction: float) -> str:
    return _CALIBRATED.format(photographs=images, share=fraction) if images else ""


def _svms_line(weight: float) -> str:
    return _SVMS_LEARNED.format(weight=weight) if weight else ""


def _equal_error_lines(model: Model, names: Sequence[str]) -> str:
    said = [f"{name} is present from {model.thresholds[ATTRIBUTES.index(name)]:.2f}" for name in names]
    return _EQUAL_ERROR.format(names=", ".join(said)) if said else ""


def _stage_line(name: str, figures: dict[str, float]) -> str:
    shown = ", ".join(f"{key} {value:.4f}" for key, value in figures.items() if key not in ("epoch", "step"))
    return f"- {name}: {shown} (step {figures['step']})"
