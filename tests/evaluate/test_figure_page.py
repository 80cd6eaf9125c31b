import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.evaluate import plots
from facetag.evaluate.competitors import Answers
from facetag.evaluate.figure_csv import to_csv
from facetag.evaluate.figure_page import page
from facetag.evaluate.paper_table import measure_table, table_figure


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of Table 1 on made-up answers."""
    monkeypatch.setattr(plots, "DOTS", 40)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, len(ATTRIBUTES))).astype(np.int8)
    better = np.clip(truth + rng.normal(0, 0.5, truth.shape), 0, 1)
    worse = np.clip(truth + rng.normal(0, 1.5, truth.shape), 0, 1)
    worse[:5] = np.nan
    systems = [Answers(name, each, each >= 0.5) for name, each in (("FaceTracer", worse), ("PANDA-l", better))]
    figure = table_figure(measure_table(systems, truth, np.arange(60) // 3, truth.mean(0)))
    return page({"seed": 0}, [figure])


def test_a_page_of_no_single_model_is_called_by_its_figure(table: str) -> None:
    assert "<title>Attribute prediction (Table 1)</title>" in table and "<td>FaceTracer</td>" in table
    assert all(text.startswith(("data:", "#")) for text in re.findall(r'(?:src|href)="([^"]{,40})', table))


def test_numbers_as_csv_have_the_way_to_each() -> None:
    assert to_csv({"a": np.array([[1.0, np.nan]]), "b": {"c": None, "d": True}}).splitlines() == [
        "name,value", "a/0/0,1", "a/0/1,", "b/c,", "b/d,True",
    ]  # fmt: skip


def chromium(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which("chromium"), "apt-get install chromium"
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}", *options,
        f"file://{page}",
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)


@pytest.mark.system
@pytest.mark.parametrize("width", [400, 1200])
def test_a_real_browser_shows_the_page_and_asks_nobody(table: str, tmp_path: Path, width: int) -> None:
    """The page's own policy allows no request, and the browser says so of each that is tried."""
    assert "default-src 'none'" in table
    path = tmp_path / "table.html"
    path.write_text(table)
    shown = chromium(path, "--dump-dom", f"--window-size={width},900")
    assert "CONSOLE" not in shown.stderr and 'src="data:image/png' in shown.stdout
