"""A user without rights, without HOME and with nothing of facetag's to write to, as in a container or a service."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from photographs import make_photographs

import facetag

PACKAGES = [str(Path(facetag.__file__).parents[1]), *(path for path in sys.path if path.endswith("-packages"))]

pytestmark = [pytest.mark.process, pytest.mark.system]


def as_nobody(*words, folder):
    command = [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin",
        f"PYTHONPATH={':'.join(PACKAGES)}", os.path.realpath(sys.executable), *words,
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_predict_writes_where_it_is_told_and_nowhere_else(tmp_path, model_folder):
    if not shutil.which("setpriv") or os.getuid() != 0:
        pytest.skip("only root can become nobody")
    for folder in (tmp_path, *tmp_path.parents[:2], model_folder.parent):
        folder.chmod(0o755)  # pytest keeps them to itself
    if as_nobody("-c", "import facetag.cli", folder="/").returncode:
        pytest.skip("nobody may not read this Python or facetag")
    make_photographs(tmp_path / "photos", 2)
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, 65534, 65534)
    words = ("-m", "facetag", "predict", tmp_path / "photos", "--model", model_folder, "--out", "tags.csv", "-q")
    done = as_nobody(*map(str, words), folder=out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {each.name for each in out.iterdir()} == {"tags.csv", "tags.csv.facetag.sqlite", "tags.csv.run.json"}
    assert as_nobody("-m", "facetag", "report", "tags.csv", "-q", folder=out).returncode == 0
