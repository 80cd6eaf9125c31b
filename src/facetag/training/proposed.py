"""What the nets of a run propose to the stages after them, kept in run/proposals (paper, section 4)."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facetag.datasets.scenes import SceneComposer
from facetag.localization.center_localizer import AnyLocalizer, StudentLocalizer
from facetag.localization.lnet_localizer import Localizer
from facetag.settings import plain
from facetag.training.examples import read_rgb
from facetag.training.loop import RunOptions
from facetag.training.propose import Boxes, aligned_boxes, kept, propose_all_faces, propose_faces, propose_heads
from facetag.training.recipe import Recipe
from facetag.training.trained import by_finder, trained_localizer, trained_student

Paths = Sequence[Path] | Sequence[str]


def face_boxes(run: Path, recipe: Recipe, options: RunOptions) -> Callable[[str, Paths], Boxes]:
    """What says where the face of each training picture of ANet is, a part of them by its name."""
    stage = recipe.anet_attributes
    if stage.boxes == "aligned":
        return lambda name, paths: aligned_boxes(len(paths))
    return located_boxes(run, recipe, options)


def located_boxes(run: Path, recipe: Recipe, options: RunOptions) -> Callable[[str, Paths], Boxes]:
    """The same by the recipe's finder, wherever CelebA's faces are taken to be."""
    stage, usual = recipe.anet_attributes, recipe.localizer
    if recipe.finder == "student":
        finder: AnyLocalizer = trained_student(run, recipe, options.device)
    else:
        quick = replace(usual, sides=stage.sides or usual.sides, heads=stage.heads or usual.heads)
        half = recipe.lnet_s.loop.precision == "bfloat16"
        finder = trained_localizer(run, replace(recipe, localizer=quick), options.device, half)
    return lambda name, paths: proposed_faces(run, by_finder(name, recipe), finder, paths, options)


def proposed_faces(run: Path, part: str, localizer: AnyLocalizer, images: Paths, options: RunOptions) -> Boxes:
    """The surest face in each of these images, kept in run/proposals."""
    paths = [str(path) for path in images]
    key = _key(localizer, [Path(path).name for path in paths])
    report = progress(f"faces of {part}", options)
    path = run / "proposals" / f"faces_{part}.npz"
    return kept(path, key, lambda: propose_faces(localizer, read_rgb, paths, report))


def proposed_crowds(run: Path, localizer: Localizer, paths: Sequence[str], options: RunOptions) -> Boxes:
    """All that the LNets find in these photographs (`propose_all_faces`), kept in run/proposals."""
    key = _key(localizer, [Path(path).name for path in paths])
    report = progress("faces of photographs", options)
    path = run / "proposals" / "faces_photographs.npz"
    return kept(path, key, lambda: propose_all_faces(localizer, read_rgb, paths, report))


def proposed_heads(
    run: Path, part: str, localizer: Localizer, scenes: SceneComposer, rounds: int, options: RunOptions
) -> Boxes:
    """LNet_o's strongest head square in every scene of so many rounds, kept in run/proposals."""
    heads, *backgrounds = [[Path(path).name for path in group] for group in (scenes.heads, *scenes.backgrounds)]
    key = _key(localizer, [plain(scenes.settings), scenes.seed, rounds, heads, backgrounds])
    report = progress(f"heads of {part}", options)
    path = run / "proposals" / f"heads_{part}.npz"
    return kept(path, key, lambda: propose_heads(localizer, scenes, rounds, report))


def _key(localizer: AnyLocalizer, what: Any) -> str:
    """A hash of nets, precision, settings and pictures: proposals made with other ones are not used again."""
    if isinstance(localizer, StudentLocalizer):
        tensors = list(localizer.net.state_dict().values())
        precision = "torch.bfloat16" if localizer.half else "torch.float32"
    else:
        lnets, precision = (localizer.lnet_o, localizer.lnet_s), str(localizer.dtype)
        tensors = [tensor for lnet in lnets for tensor in (*lnet.net.state_dict().values(), lnet.weights)]
    settings = [plain(localizer.settings), precision, what]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors:
        digest.update(tensor.cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def progress(what: str, options: RunOptions) -> Callable[[int, int], None]:
    """Reports how much of `what` is done, as a row of metrics."""
    return lambda done, total: options.report({"stage": what, "done": done, "of": total})
