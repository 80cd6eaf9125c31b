"""The contract of every data set, walked over the dict that names them."""

import subprocess
import sys
from pathlib import Path

import pytest

from facetag.datasets import DATASETS, loader
from facetag.datasets.arrange import LAYOUTS
from facetag.errors import DataError


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_gets_one_line_with_path_and_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        loader(name)(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_there_gets_one_line_with_path_and_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        loader(name)(tmp_path / "nowhere")
    assert "nowhere" in str(caught.value)
    assert caught.value.remedy


def test_every_data_set_has_a_layout() -> None:
    assert set(LAYOUTS) == set(DATASETS)


@pytest.mark.process
def test_the_package_imports_nothing_slow() -> None:
    code = "import sys, facetag.datasets; print([m for m in ('numpy', 'torch', 'cv2', 'h5py') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.process
def test_loaders_need_no_torch() -> None:
    modules = ("arrange", "boxes", "celeba", "folders", "kumar", "lfwa", "sampling", "webfaces")
    code = "".join(f"import facetag.datasets.{name}\n" for name in modules)
    code += "import sys; print([m for m in ('torch', 'cv2', 'h5py') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
