"""What the shipped models say of examples/photos, kept in tests/project/golden.json.

    python tests/support/golden.py

writes it anew, after a model was retrained on purpose. Read the difference before you commit it: an attribute that was
lost shows there.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from facetag import cli
from facetag.errors import ExitCode

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "examples" / "photos"
GOLDEN = ROOT / "tests" / "project" / "golden.json"
MODELS = ("faithful", "fast", "fast-box-free")
BOX = ("x", "y", "width", "height")


def answers(model: str) -> dict[str, list[dict[str, Any]]]:
    """File name -> its faces as `facetag predict` writes them: box, score, and attribute -> probability."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tags.jsonl"
        options = ["--relative-to", str(PHOTOS), "--device", "cpu", "--out", str(out), "-q"]
        assert cli.run(["predict", str(PHOTOS), "--model", model, *options]) == ExitCode.OK
        images = map(json.loads, out.read_text(encoding="utf-8").splitlines())
        return {image["path"]: [_face(face) for face in image["faces"]] for image in images}


def _face(face: dict[str, Any]) -> dict[str, Any]:
    """Rounded, so that the file's differences are those that matter."""
    box = [round(face[name], 1) for name in BOX]
    probabilities = {name: round(value, 3) for name, value in face["probabilities"].items()}
    return {"box": box, "score": round(face["score"], 3), "probabilities": probabilities}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({model: answers(model) for model in MODELS}, indent=1) + "\n", encoding="utf-8")
