"""What the nets of a run propose to the stages after them, kept in run/proposals (paper, section 4)."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facetag.datasets.scenes import SceneComposer
from facetag.localization.base import Localizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.settings import plain
from facetag.training.examples import read_rgb
from facetag.training.loop import RunOptions
from facetag.training.propose import Boxes, aligned_boxes, cached, propose_faces, propose_head_regions
from facetag.training.recipe import Recipe
from facetag.training.trained import by_localizer, trained_center_net, trained_localizer

Paths = Sequence[Path] | Sequence[str]


def face_boxes(run: Path, recipe: Recipe, options: RunOptions) -> Callable[[str, Paths], Boxes]:
    """What says where the face of each training picture of ANet is, a part of them by its name."""
    if recipe.anet_attributes.boxes == "aligned":
        return lambda name, paths: aligned_boxes(len(paths))
    return located_boxes(run, recipe, options)


def located_boxes(run: Path, recipe: Recipe, options: RunOptions) -> Callable[[str, Paths], Boxes]:
    """The same by the recipe's localizer, wherever CelebA's faces are taken to be."""
    stage, usual = recipe.anet_attributes, recipe.localizer
    if recipe.localizer_kind == "center_net":
        localizer: Localizer = trained_center_net(run, recipe, options.device)
    else:
        quick = replace(
            usual,
            input_sizes=stage.input_sizes or usual.input_sizes,
            head_regions=stage.head_regions or usual.head_regions,
        )
        half = recipe.lnet_s.loop.precision == "bfloat16"
        localizer = trained_localizer(run, replace(recipe, localizer=quick), options.device, half)
    return lambda name, paths: proposed_faces(run, by_localizer(name, recipe), localizer, paths, options)


def proposed_faces(run: Path, part: str, localizer: Localizer, images: Paths, options: RunOptions) -> Boxes:
    """The surest face in each of these images, kept in run/proposals."""
    paths = [str(path) for path in images]
    key = _key(localizer, [Path(path).name for path in paths])
    report = progress(f"faces of {part}", options)
    path = run / "proposals" / f"faces_{part}.npz"
    return cached(path, key, lambda: propose_faces(localizer, read_rgb, paths, report))


def proposed_head_regions(
    run: Path, part: str, localizer: LNetLocalizer, scenes: SceneComposer, rounds: int, options: RunOptions
) -> Boxes:
    """LNet_o's strongest head square in every scene of so many rounds, kept in run/proposals."""
    heads, *backgrounds = [[Path(path).name for path in group] for group in (scenes.heads, *scenes.backgrounds)]
    key = _key(localizer, [plain(scenes.settings), scenes.seed, rounds, heads, backgrounds])
    report = progress(f"heads of {part}", options)
    path = run / "proposals" / f"heads_{part}.npz"
    return cached(path, key, lambda: propose_head_regions(localizer, scenes, rounds, report))


def _key(localizer: Localizer, what: Any) -> str:
    """A hash of nets, precision, settings and pictures: proposals made with other ones are not used again."""
    settings = [plain(localizer.settings), str(localizer.precision()), what]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in localizer.tensors():
        digest.update(tensor.cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def progress(what: str, options: RunOptions) -> Callable[[int, int], None]:
    """Reports how much of `what` is done, as a row of metrics."""
    return lambda done, total: options.report({"stage": what, "done": done, "of": total})
