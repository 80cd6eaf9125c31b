"""Runs whose answers are all known: no network is loaded for them, and nothing that networks need."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from photographs import make_photographs

from facetag import model_folder as folders
from facetag.model_folder import read_facts

#: Runs command lines in a process that has loaded nothing yet; prints each exit code and whether torch came.
COMMANDS = """
import json, sys
from facetag import cli
for words in json.loads(sys.argv[1]):
    print(cli.run(words), "torch" in sys.modules, flush=True)
"""


@pytest.fixture
def tagged(facetag, tmp_path):
    """Six images, tagged; answers the words of the command."""
    make_photographs(tmp_path / "in", 6)
    words = ["in", "absent.jpg", "--out", "out.csv"]
    assert facetag("predict", *words)[0] == 3
    return words


@pytest.mark.process
def test_torch_is_not_loaded_when_every_answer_is_known(tagged, facetag, model_folder, tmp_path):
    first = (tmp_path / "out.csv").read_bytes()
    predict = ["predict", *tagged, "--model", str(model_folder)]
    os.utime(tmp_path / "in" / "000002.jpg")  # read, and known by its content
    runs = [predict, [*predict, "--rehash"], [*predict, "--dry-run"], [*predict, "--attributes", "Smiling"], predict]
    words = [sys.executable, "-c", COMMANDS, json.dumps(runs)]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    codes = [line for line in said.stdout.splitlines() if line.endswith(("True", "False"))]
    assert codes == ["3 False", "3 False", "0 False", "3 False", "3 False"]
    assert (tmp_path / "out.csv").read_bytes() == first
    record = json.loads((tmp_path / "out.csv.run.json").read_text())
    assert (record["device"], record["kept"]) == ("none", 6)


@pytest.mark.process
@pytest.mark.timing
def test_a_thousand_known_inputs_cost_little_more_than_a_start(facetag, model_folder, tmp_path):
    """Processor time of the whole command beside that of --version; 5 were measured."""
    make_photographs(tmp_path / "in", 1000, (24, 16))
    words = ["predict", "in", "--aligned", "--out", "out.csv"]  # aligned: nothing is looked for, which takes longest
    assert facetag(*words)[0] == 0
    first = (tmp_path / "out.csv").read_bytes()
    again = [*words, "--model", str(model_folder)]
    known, start = (min(_spent(words, tmp_path) for _ in range(3)) for words in (again, ["--version"]))
    assert (tmp_path / "out.csv").read_bytes() == first
    assert known < 8 * start


def _spent(words, folder):
    """Processor seconds of a command in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "facetag", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_networks_are_loaded_for_the_first_image_that_is_new(tagged, facetag, tmp_path):
    (tmp_path / "in" / "000003a.jpg").write_bytes((tmp_path / "in" / "000003.jpg").read_bytes() + b"new")
    code, _, err = facetag("predict", *tagged)
    assert code == 3 and "model random, device cpu" in err and "0 changed, 6 reused" in err
    facetag("predict", *tagged[:2], "--out", "fresh.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def test_a_damaged_model_is_refused_though_nothing_asks_it(tagged, facetag, model_folder, tmp_path):
    copy = shutil.copytree(model_folder, tmp_path / "model")
    weights = bytearray((copy / "anet.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "anet.safetensors").write_bytes(weights)
    code, _, err = facetag("predict", *tagged, model=copy)
    assert code == 1 and err.count("\n") == 1 and "anet.safetensors is not the file" in err


def test_a_model_that_is_replaced_while_the_run_lasts_answers_nothing(tagged, facetag, monkeypatch):
    monkeypatch.setattr(folders, "read_facts", lambda name: replace(read_facts(name), fingerprint="of another"))
    code, _, err = facetag("predict", *tagged)
    assert code == 1 and "the model random was replaced meanwhile; run the same command again" in err


def test_what_is_excluded_is_not_in_the_journal_and_only_widening_asks_again(tagged, facetag, tmp_path):
    journal, without = tmp_path / "out.csv.facetag.sqlite", ["--exclude-attributes", "demographic"]
    assert b"Male" in journal.read_bytes()
    assert "0 changed, 6 reused" in facetag("predict", *tagged, *without)[2]
    assert b"Male" not in journal.read_bytes()
    assert "0 changed, 6 reused" in facetag("predict", *tagged, *without, "--attributes", "Smiling")[2]
    assert "0 changed, 6 reused" in facetag("predict", *tagged, *without)[2]
    assert ", 0 reused" in facetag("predict", *tagged)[2]
