"""facetag's localizers beside Haar and LBP cascades, dlib, CenterFace, MTCNN and mediapipe on photographs, in one run.

    python benchmarks/localization.py --environments ~/rivals --half test

Each rival runs in a virtual environment of its own, made in the folder given and used again. facetag decodes each
photograph once; a rival reads those very upright pixels from a file. All take turns on the same pictures, and reading
is no part of anyone's time. The LBP cascade takes part where the environment variable LBP_CASCADE names its file.
facetag's boxes are set by one global height and offset, fitted by medians on the tuning half; rivals' boxes get the
same, by the same function.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import inf, isnan
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from environments import CENTERFACE, DLIB, HAAR, MEDIAPIPE, MTCNN, Environment, Process, python_of

from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import FacetagError
from facetag.evaluate.box_calibration import RATE
from facetag.evaluate.image_batches import evenly, read_batches
from facetag.evaluate.localization import (
    IOUS,
    PIXELS,
    RATES,
    Examined,
    LocalizationReport,
    load_annotated_images,
    measure_localization,
)
from facetag.evaluate.peers import converted
from facetag.evaluate.peers import fit_peer_calibration as fit
from facetag.evaluate.report import Table, localization_json, plain_text, to_json
from facetag.evaluate.speed import smooth_image
from facetag.geometry import Box
from facetag.images.resample import Image
from facetag.localization.base import Detection, Localizer
from facetag.localization.response_maps import PeakSettings
from facetag.method import detection_metrics as recall
from facetag.predictor import FaceTagger
from facetag.settings import plain

SHOWN = (0.3, 0.5, 0.7)  #: of IOUS
IOU = 0.5  #: at which the threshold has `RATE` false positives an image

#: Faces of each picture, the surest first, and the seconds that finding them took. The files hold the same pictures.
Detector = Callable[[Sequence[Image], Sequence[Path]], tuple[list[list[Detection]], float]]


@dataclass(frozen=True)
class Rival:
    """A detector in an environment: a script in rivals/ and the one word that it is given.

    Attributes:
        variable: environment variable that names the file `variant`, where no package has it; the word is its value.
    """

    environment: Environment
    script: str
    variant: str
    variable: str = ""

    def word(self) -> str:
        """The word for the script.

        Raises:
            FacetagError: the variable names no file.
        """
        if not self.variable:
            return self.variant
        path = os.environ.get(self.variable)
        if path is None or not Path(path).is_file():
            message = f"{self.variable} is not set" if path is None else f"{self.variable}={path} is not there"
            raise FacetagError(message, f"make it the path of {self.variant}, see benchmarks/README.md")
        return path


RIVALS = {
    "Haar default": Rival(HAAR, "haar.py", "frontalface_default"),
    "Haar alt2": Rival(HAAR, "haar.py", "frontalface_alt2"),
    "LBP": Rival(HAAR, "lbp.py", "lbpcascade_frontalface_improved.xml", "LBP_CASCADE"),
    "dlib": Rival(DLIB, "dlib_hog.py", "1"),
    "dlib 4x": Rival(DLIB, "dlib_hog.py", "2"),
    "CenterFace": Rival(CENTERFACE, "centerface.py", "1280"),
    "MTCNN": Rival(MTCNN, "mtcnn.py", "20"),
    "mediapipe short": Rival(MEDIAPIPE, "mediapipe_faces.py", "short_range"),
    "mediapipe full": Rival(MEDIAPIPE, "mediapipe_faces.py", "full_range"),
}


def told() -> dict[str, tuple[Rival, str]]:
    """The rivals and their words, without those whose variable is not set.

    Raises:
        FacetagError: a variable names no file.
    """
    return {name: (one, one.word()) for name, one in RIVALS.items() if not one.variable or one.variable in os.environ}


@dataclass
class LayersAndTruth:
    """What one detector found in photographs, in how many seconds."""

    examined: list[Examined] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Figures:
    """One detector's: the report at the score with `RATE` false positives an image on single faces, images a second."""

    report: LocalizationReport
    speed: float


class Worker(Process):
    """A rival's process: a path in, a line of JSON out."""

    def __init__(self, python: Path, script: Path, variant: str) -> None:
        super().__init__((python, script, variant))

    def __call__(self, images: Sequence[Image], files: Sequence[Path]) -> tuple[list[list[Detection]], float]:
        """A `Detector`.

        Raises:
            FacetagError: the process has ended.
        """
        answers = [self._find(file) for file in files]
        return [found for found, _ in answers], sum(seconds for _, seconds in answers)

    def _find(self, file: Path) -> tuple[list[Detection], float]:
        answer = self.ask(str(file))
        pairs = zip(answer["boxes"], answer["scores"], strict=True)
        found = [Detection(Box(*box), score) for box, score in pairs]
        return sorted(found, key=lambda face: -face.score), answer["seconds"]


def _beneath(localizer: Localizer, image: Image) -> list[Detection]:
    """What responds most where nothing is found, at score 0, since where the surest lies is asked at any score."""
    return [replace(face, score=0.0) for face in localizer.dominant([image])[0]]


def ours(localizer: Localizer) -> Detector:
    """The model's LNets or its centre network, faces down to score 0; a batch at once, as in `facetag predict`."""

    def detect(images: Sequence[Image], files: Sequence[Path]) -> tuple[list[list[Detection]], float]:
        start = time.perf_counter()
        found = localizer.every(images)
        seconds = time.perf_counter() - start
        pairs = zip(found, images, strict=True)
        return [faces or _beneath(localizer, image) for faces, image in pairs], seconds

    return detect


def look(photographs: Sequence[AnnotatedImage], detectors: Mapping[str, Detector]) -> dict[str, LayersAndTruth]:
    """Each detector on all photographs, batch by batch in turn, after one picture that is not measured.

    Raises:
        DataError: a photograph cannot be read.
    """
    looked = {name: LayersAndTruth() for name in detectors}
    with TemporaryDirectory() as folder:
        warm = [smooth_image()]
        for detect in detectors.values():
            detect(warm, save(warm, Path(folder)))
        for photos in read_batches([one.path for one in photographs], _progress):
            images = [photo.pixels for photo in photos]
            files = save(images, Path(folder))
            for name, detect in detectors.items():
                found, seconds = detect(images, files)
                looked[name].seconds += seconds
                _add(looked[name].examined, photographs, images, found)
    return looked


def save(images: Sequence[Image], folder: Path) -> list[Path]:
    """The pixels as files, in place of those of an earlier batch."""
    files = [folder / f"{number}.npy" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        np.save(file, image)
    return files


def _add(
    examined: list[Examined],
    photographs: Sequence[AnnotatedImage],
    images: Sequence[Image],
    found: list[list[Detection]],
) -> None:
    for image, faces in zip(images, found, strict=True):
        examined.append(Examined(photographs[len(examined)], faces, max(image.shape[:2])))


def _progress(done: int, total: int) -> None:
    print(f"{done}/{total} photographs", file=sys.stderr, end="\n" if done == total else "\r", flush=True)


def single(examined: Sequence[Examined]) -> list[Examined]:
    """Those of photographs with one face."""
    return [one for one in examined if len(one.image.boxes) == 1]


def figures(looked: LayersAndTruth) -> Figures:
    """Recall at the lowest score with at most `RATE` false positives an image on photographs with one face."""
    report = measure_localization(looked.examined, threshold(single(looked.examined)))
    return Figures(report, len(looked.examined) / looked.seconds)


def threshold(examined: Sequence[Examined]) -> float:
    """That score; infinite where even the surest boxes have more."""
    located = [
        recall.Located([face.box for face in one.found], [face.score for face in one.found], one.image.boxes)
        for one in examined
    ]
    curve = recall.froc(located, IOU)
    allowed = curve.thresholds[curve.false_positives <= RATE]
    return float(allowed[-1]) if len(allowed) else inf


def table(measured: Mapping[str, Figures], title: str) -> Table:
    """A column a detector; speed is told beside the first one's."""
    first = next(iter(measured))
    columns = [_column(one, first, measured[first].speed) for one in measured.values()]
    return Table(title, ("percent", *measured), [(name, *(column[name] for column in columns)) for name in columns[0]])


def _column(one: Figures, first: str, reference: float) -> dict[str, str]:
    alone, every, rate = one.report.single, one.report.all, RATES.index(RATE)
    cells = {
        f"one face: recall at IoU {iou:g}, {RATE:g} false positives an image": alone.at_rates[IOUS.index(iou), rate]
        for iou in SHOWN
    }
    cells[f"one face: left empty at that score (by IoU {IOU:g})"] = alone.empty / max(alone.images, 1)
    cells["one face: surest box centred in it, any score"] = alone.centred
    cells[f"all {every.faces} faces: recall at IoU {IOU:g}, that score"] = every.kept[IOUS.index(IOU)]
    for low, high, value, count in zip(PIXELS, PIXELS[1:], every.by_pixels, every.faces_by_pixels, strict=False):
        span = f"from {low:g} px" if high == inf else f"{low:g} to {high:g} px"
        cells[f"- {span} ({count})"] = value
    words = {name: "-" if isnan(value) else f"{100 * value:.1f}" for name, value in cells.items()}
    return {**words, f"images a second, times {first}'s": f"{one.speed / reference:.2f}"}


def as_json(measured: Mapping[str, Figures], conventions: Mapping[str, PeakSettings]) -> dict[str, object]:
    """Every figure, and what rivals' boxes were converted by."""
    return {
        name: {
            "images_per_second": one.speed,
            "convention": plain(conventions[name]) if name in conventions else None,
            **localization_json(one.report),
        }
        for name, one in measured.items()
    }


def compare(
    chosen: Sequence[AnnotatedImage],
    tuning: Sequence[AnnotatedImage],
    ours: Mapping[str, Detector],
    rivals: Mapping[str, Detector],
) -> tuple[dict[str, Figures], dict[str, PeakSettings]]:
    """Figures on `chosen`, rivals' boxes by conventions fitted on `tuning`."""
    looked = look(chosen, {**ours, **rivals})
    again = looked if tuning == chosen or not rivals else look([one for one in tuning if len(one.boxes) == 1], rivals)
    conventions = {name: fit(again[name].examined) for name in rivals}
    for name, settings in conventions.items():
        looked[name].examined = converted(looked[name].examined, settings)
    return {name: figures(one) for name, one in looked.items()}, conventions


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, default=Path("data/webfaces"), help="folder of WebFaces")
    parser.add_argument("--environments", type=Path, help="folder of the rivals' environments; else facetag alone")
    parser.add_argument("--half", choices=("tune", "test"), default="tune", help="photographs to measure on")
    parser.add_argument("--limit", type=int, help="only so many of each half, spread evenly")
    parser.add_argument("--models", nargs="+", default=["faithful", "fast"], help="names or folders")
    parser.add_argument("--json", type=Path, help="write every figure here")
    return parser.parse_args()


def part(photographs: Sequence[AnnotatedImage], half: str, limit: int | None) -> list[AnnotatedImage]:
    """So many of a half."""
    every = [one for one in photographs if one.half == half]
    return [every[index] for index in evenly(len(every), limit)]


def main() -> None:
    asked = arguments()
    photographs = load_annotated_images(asked.images).chosen
    chosen, tuning = (part(photographs, half, asked.limit) for half in (asked.half, "tune"))
    taggers = [FaceTagger(name, device="cpu") for name in asked.models]
    models = [tagger.model for tagger in taggers]
    scripts = Path(__file__).parent / "rivals"
    with ExitStack() as stack:
        rivals = {
            name: stack.enter_context(
                Worker(python_of(rival.environment, asked.environments), scripts / rival.script, word)
            )
            for name, (rival, word) in (told() if asked.environments else {}).items()
        }
        mine = {tagger.model.name: ours(tagger.localizer) for tagger in taggers}
        measured, conventions = compare(chosen, tuning, mine, rivals)
    alone = sum(len(one.boxes) == 1 for one in chosen)
    title = f"WebFaces, {asked.half} half: {len(chosen)} photographs, {alone} with one face"
    print(plain_text(table(measured, title)))
    if asked.json:
        models_used = {model.name: model.fingerprint for model in models}
        facts = {"half": asked.half, "photographs": len(chosen), "models": models_used}
        asked.json.write_text(to_json({**facts, "detectors": as_json(measured, conventions)}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except FacetagError as error:
        sys.exit(f"error: {error}")
