import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facetag.images.decode import read_image

ROOT = Path(__file__).parents[2]
PHOTOS = sorted((ROOT / "examples/photos").glob("*.jpg"))


@pytest.mark.process
@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_every_script_runs(script):
    done = subprocess.run([sys.executable, f"examples/{script}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_every_photograph_is_small_whole_and_credited(photo):
    assert photo.stat().st_size < 150_000
    assert not read_image(str(photo)).warning
    assert f"`{photo.name}`" in (photo.parent / "CREDITS.md").read_text()


def test_the_sideways_astronaut_decodes_upright():
    upright, sideways = (
        read_image(str(ROOT / f"examples/photos/{name}.jpg")).pixels for name in ("astronaut", "astronaut_sideways")
    )
    assert np.abs(upright.astype(int) - sideways).mean() < 3
