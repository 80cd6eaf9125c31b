"""CARD.md: what a model was trained on, how good it is, where it is weak and what it must not decide."""

from typing import Any

from facetag.model import Model

_TEXT = """# Model card: {name}

Finds faces and forty attributes in photographs by the cascade of Liu, Luo, Wang and Tang, "Deep Learning Face
Attributes in the Wild" (ICCV 2015): LNet_o and LNet_s localise, ANet describes, one linear SVM an attribute decides.

**Attributes are appearances as annotators labelled them**, on pictures of celebrities. They are not facts about a
person, and several (Attractive, Big_Nose, Chubby, Young ...) are plain judgement.

## Data and licences
- Attributes and identities: CelebA, aligned images, official split (nets on partition 0, SVMs on partition 1).
  CelebA is for **non-commercial research** only, and so are these weights (LICENSE-WEIGHTS.md).
- LNet+: object categories of mini-ImageNet, Imagenette (ImageNet terms) and Caltech-101 (research).
- Scenes without faces: Caltech-101, mini-ImageNet, Hays and Efros scenes, fifteen scene categories (research).
- No face box was trained on. One global convention (size and offset of a face box against a response window) was set
  with boxes of the tuning half of Caltech 10k WebFaces.

## How it was trained
Recipe `{recipe}`, recorded whole in model.json. Validation figures on identities (or pictures) held out of the
training partition, by which each net was chosen:

{stages}

SVMs: {faces} faces of partition 1, C = {cost}; {missed} further images had no face found. Mean accuracy over the forty
attributes, cross-fitted by identity: {accuracy:.4f}.

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


def model_card(model: Model) -> str:
    """The card of a freshly fitted model; accuracy is filled in by the evaluation that measures it."""
    record = model.training
    svm: dict[str, Any] = record["svm"]
    return _TEXT.format(
        name=model.name,
        recipe=record["recipe"]["name"],
        stages="\n".join(_stage_line(name, figures) for name, figures in record["validation"].items()),
        faces=svm["faces"],
        missed=svm["without_a_box"],
        cost=svm["cost"],
        accuracy=svm["cross_fitted_accuracy"],
    )


def _stage_line(name: str, figures: dict[str, float]) -> str:
    shown = ", ".join(f"{key} {value:.4f}" for key, value in figures.items() if key not in ("epoch", "step"))
    return f"- {name}: {shown} (step {figures['step']})"
