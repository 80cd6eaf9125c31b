"""`--engine`: what is refused before anything starts, and that the local engine knows nothing of Ray."""

import json
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
from photographs import make_photographs

from facetag.cluster import connection
from facetag.cluster.engine import Pools
from facetag.errors import UsageError

#: Runs a command line in a process that has loaded nothing yet; says whether Ray came.
COMMAND = """
import json, sys
from facetag import cli
print(cli.run(json.loads(sys.argv[1])), "ray" in sys.modules, flush=True)
"""


@pytest.fixture
def tagged(facetag, tmp_path):
    make_photographs(tmp_path / "in", 3)
    assert facetag("predict", "in", "--out", "out.csv")[0] == 0


@pytest.mark.process
@pytest.mark.parametrize("words", [["--overwrite"], ["--engine", "ray"]])
def test_ray_is_loaded_neither_by_the_local_engine_nor_where_every_answer_is_known(
    words, tagged, model_folder, tmp_path
):
    predict = ["predict", "in", "--out", "out.csv", "--model", str(model_folder), *words]
    said = subprocess.run(
        [sys.executable, "-c", COMMAND, json.dumps(predict)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout == "0 False\n", said.stderr


def test_without_ray_the_extra_is_named(facetag, monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    code, _, err = facetag("predict", "in", "--out", "x.csv", "--engine", "ray")
    assert (code, err) == (2, "facetag: error: --engine ray needs Ray; pip install 'facetag[ray]'\n")


@pytest.mark.timing
@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'facetag[ray]'")
def test_an_address_where_nobody_answers_is_one_line_within_seconds(facetag, tmp_path):
    make_photographs(tmp_path / "in", 1)
    start = time.monotonic()
    code, _, err = facetag("predict", "in", "--out", "x.csv", "--engine", "ray", "--ray-address", "127.0.0.1:9")
    assert time.monotonic() - start < 10
    assert code == 1 and err.startswith("facetag: error: no Ray cluster answers at 127.0.0.1:9 (Connection refused); ")
    assert err.count("\n") == 1 and not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ray-address", "a:1"], "add --engine ray"),
        (["--engine", "ray", "--out", "-"], "--engine ray needs a journal, and so a file; add --out FILE"),
        (["--engine", "ray", "--draw", "drawn"], "pixels stay in the cluster; leave out --draw"),
        (["--engine", "ray", "--ray-address", "ray://a:1"], "is not HOST:PORT"),
        (["--engine", "ray", "--ray-address", "a:70000"], "is not HOST:PORT"),
    ],
)
def test_options_that_do_not_fit_are_refused(facetag, words, said):
    code, _, err = facetag("predict", "in", "--out", "x.csv", *words)
    assert code == 2 and said in err and err.count("\n") == 1


def test_a_strangers_settings_name_no_cluster(facetag, tmp_path):
    (tmp_path / "facetag.toml").write_text('[predict]\nengine = "ray"\nray-address = "evil.example:6379"\n')
    code, _, err = facetag("predict", "in", "--out", "x.csv")
    assert code == 2 and "facetag.toml" in err and err.count("\n") == 1


def test_pools_leave_a_cpu_for_decoding():
    assert Pools.of(1, 0, "auto", None) == Pools(1, 1, 0)
    assert Pools.of(3, 0, "auto", None) == Pools(2, 1, 0)
    assert Pools.of(16, 2, "auto", None) == Pools(2, 16, 1)
    assert Pools.of(16, 2, "cpu", 4) == Pools(4, 12, 0)
    assert Pools.of(2, 0, "auto", 2) == Pools(2, 1, 0)  # who asks may share a CPU out among both
    with pytest.raises(UsageError, match="at most 4"):
        Pools.of(4, 0, "auto", 5)
