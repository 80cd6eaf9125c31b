"""benchmarks/peer_boxes.py with a peer that the test writes; nothing is installed."""

import sys
from pathlib import Path

import cv2
import localization
import numpy as np
import peer_boxes
import pytest

from facetag.errors import FacetagError
from facetag.evaluate.peers import load_detections
from facetag.geometry import Box
from facetag.localization.base import Detection

#: Two faces in light pictures, none in dark ones; says in a file what it was started as.
PEER = """
import json, sys
from pathlib import Path
import numpy as np
with open(Path(__file__).with_name("words.txt"), "a") as words:
    print(sys.argv[1], file=words)
for line in sys.stdin:
    found = bool(np.load(line.rstrip("\\n")).any())
    boxes, scores = [[0, 0, 9.5, 9], [42, 30, 60, 60]], [0.25, 31]
    print(json.dumps({"boxes": boxes * found, "scores": scores * found, "seconds": 0.5}), flush=True)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Photographs, and a peer "Haar alt2" and others whose script is PEER and whose environment is this one."""
    for name, level in (("dark.png", 0), ("light.png", 200), ("other.png", 200)):
        pixels = np.full((120, 160, 3), level, np.uint8)
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    (tmp_path / "rivals").mkdir()
    for script in ("haar.py", "lbp.py", "dlib_hog.py"):
        (tmp_path / "rivals" / script).write_text(PEER)
    monkeypatch.setattr(peer_boxes, "__file__", str(tmp_path / "peer_boxes.py"))
    monkeypatch.setattr(peer_boxes, "python_of", lambda environment, folder: Path(sys.executable))
    monkeypatch.delenv("LBP_CASCADE", raising=False)
    return tmp_path


def run(folder: Path, monkeypatch, *words: object) -> None:
    asked = ("--environments", folder, "--images", folder, "--out", folder / "boxes.csv", *words)
    monkeypatch.setattr(sys, "argv", ["peer_boxes.py", *map(str, asked)])
    peer_boxes.main()


@pytest.mark.process
def test_boxes_are_what_eval_peers_reads_and_a_stopped_run_goes_on(folder, monkeypatch):
    (folder / "list.txt").write_text("dark.png\nlight.png\n")
    run(folder, monkeypatch, "--only", folder / "list.txt", "--least", 40)
    begun = (folder / "boxes.csv").read_text()
    assert begun.splitlines()[0] == "file,x,y,width,height,score"
    faces = [Detection(Box(42, 30, 60, 60), 31), Detection(Box(0, 0, 9.5, 9), 0.25)]
    assert load_detections(folder / "boxes.csv") == {"dark.png": [], "light.png": faces}
    run(folder, monkeypatch)
    assert (folder / "boxes.csv").read_text().startswith(begun)
    assert load_detections(folder / "boxes.csv") == {"dark.png": [], "light.png": faces, "other.png": faces}
    assert (folder / "rivals" / "words.txt").read_text() == "frontalface_alt2:40\nfrontalface_alt2\n"


@pytest.mark.process
def test_the_lbp_cascade_is_named_by_a_variable(folder, monkeypatch):
    with pytest.raises(FacetagError, match=r"^LBP_CASCADE is not set; make it the path of lbpcascade_"):
        run(folder, monkeypatch, "--peer", "LBP")
    assert not (folder / "boxes.csv").exists()
    (folder / "lbp.xml").touch()
    monkeypatch.setenv("LBP_CASCADE", str(folder / "lbp.xml"))
    run(folder, monkeypatch, "--peer", "LBP")
    assert (folder / "rivals" / "words.txt").read_text() == f"{folder / 'lbp.xml'}\n"
    assert len(load_detections(folder / "boxes.csv")) == 3


def test_the_least_side_is_of_haar_alone(folder, monkeypatch):
    with pytest.raises(FacetagError, match=r"^dlib takes no --least; leave it out"):
        run(folder, monkeypatch, "--peer", "dlib", "--least", 40)
    assert not (folder / "boxes.csv").exists()


def test_every_peer_has_its_script():
    scripts = Path(localization.__file__).parent / "rivals"
    assert [name for name, peer in localization.RIVALS.items() if not (scripts / peer.script).is_file()] == []
