"""The benchmark of large archives on a small one, and the arithmetic of larger ones."""

import sys
from dataclasses import replace

import archive
import pytest
import scale
from scale import Costs, plan

COSTS = Costs(10, 1, 100, 1e5, 1e3, 2e3, 2000, 600, 10**7, 2, 0.5, 0.1)


def test_a_plan_is_its_slowest_part():
    found = plan(3_600_000, 10, COSTS)
    assert (found.shards, found.bottleneck, found.hours["look"]) == (10, "look", 10.0)
    assert found.price == pytest.approx(10 * 10 * 2 + 3600 * 0.5 + 3600 * 0.1)
    assert (found.journals, found.outputs) == (7.2, 2.16)
    slow = plan(3_600_000, 10, replace(COSTS, network=5))
    assert slow.bottleneck == "read" and slow.hours["read"] == pytest.approx(20)


def test_a_shard_holds_no_more_than_it_may_and_lists_all():
    found = plan(1_000_000_000, 30, COSTS)
    assert found.shards == 120 and found.images / found.shards <= COSTS.shard_images
    assert found.hours["list"] == pytest.approx(4 * 1e9 / 1e5 / 3600)
    assert plan(10, 7, COSTS).shards == 7


def test_the_table_is_printed_from_its_parameters(monkeypatch, capsys):
    words = ["scale.py", "--images", "7200000", "--machines", "2", "--rate", "100", "--network", "4000"]
    monkeypatch.setattr(sys, "argv", words)
    scale.main()
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["images", "machines", "shards"] and row.split()[:5] == [
        "7,200,000",
        "2",
        "2",
        "10.0",
        "look",
    ]


@pytest.mark.process
@pytest.mark.parametrize(("what", "steps"), [("files", 15), ("journal", 2), ("shards", 10)])
def test_the_archive_benchmark_counts_every_step(what, steps, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(archive, "measured", measured)
    monkeypatch.setattr(sys, "argv", ["archive.py", what, "--numbers", "240", "--folder", str(tmp_path)])
    monkeypatch.setattr(archive, "IN_A_FOLDER", 40)
    archive.main()
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == steps + 2 and any("bytes an input: journal " in line for line in lines[-2:])
    assert not list(tmp_path.iterdir())


def measured(title, number, step):
    """In this process, which has loaded everything."""
    step()
    print(title)
    return 0.0
