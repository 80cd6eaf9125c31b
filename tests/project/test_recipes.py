"""Every block of docs/recipes.md, run as it stands there."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from photographs import make_photographs

from facetag.formats.readers import read_records
from facetag.formats.xmp.packet import Packet

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = {
    section.partition("\n")[0]: re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for section in PAGE.split("\n## ")[1:]
}
PROGRAMS = ("duckdb", "exiftool", "jq", "sqlite3")

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="shells and cron of Linux")]


def recipe(heading, language="sh"):
    return [text for each, text in RECIPES[heading] if each == language]


@pytest.fixture
def run(tmp_path, model_folder):
    """Runs a block in a folder with photos; answers what it printed, both streams, and its exit code."""
    (tmp_path / "bin").mkdir()
    shim(tmp_path / "bin" / "facetag", f'exec "{sys.executable}" -m facetag "$@"')
    make_photographs(tmp_path / "photos", 4)
    (tmp_path / "photos" / "000003.jpg").rename(tmp_path / "photos" / os.fsdecode(b"new\nline \xff.jpg"))
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "FACETAG_PREDICT_MODEL": str(model_folder),
        "FACETAG_PREDICT_THRESHOLD": "Smiling=0.5",
        "NEW_MODEL": str(model_folder),
    }

    def run(block, **variables):
        for program in PROGRAMS:
            if re.search(rf"^(?:.*\| *)?\s*{program}\b", block, re.MULTILINE) and not provided(
                program, tmp_path / "bin"
            ):
                pytest.skip(f"{program} is not installed")
        block = block.replace("/srv/photos", f"{tmp_path}/photos").replace("/var/lib/facetag", str(tmp_path))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=environment | variables, capture_output=True
        )
        return done.returncode, done.stdout, done.stderr.decode()

    return run


def shim(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def provided(program, folder):
    """Whether a program is there; DuckDB's Python package does for its command."""
    if shutil.which(program):
        return True
    if program == "duckdb" and importlib.util.find_spec("duckdb"):
        shim(folder / "duckdb", f'exec "{sys.executable}" -c \'import duckdb, sys; duckdb.sql(sys.argv[2])\' "$@"')
        return True
    return False


def records(path):
    return list(read_records(str(path)))


def smiling(tmp_path):
    return [record.path for record in records(tmp_path / "tags.csv") if any("Smiling" in f.tags for f in record.faces)]


def test_every_block_of_the_page_is_run_here():
    assert [[language for language, _ in blocks] for blocks in RECIPES.values()] == [
        ["sh"], ["sh"], ["cron"], ["ini", "ini"], ["ini"], ["sh"], ["sh", "python"], ["sh"], ["sh"], ["sh"],
        ["sh"], ["sh", "sh"], ["yaml"],
    ]  # fmt: skip
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [heading for heading in RECIPES if f'recipe("{heading}"' not in tests] == []


def test_find_and_jq(run, tmp_path):
    (block,) = recipe("Find, tag and choose in one pipe")
    code, out, err = run(block)
    assert (code, err) == (0, "")
    run("facetag predict photos --out tags.csv -q")
    assert len(out.splitlines()) == len(smiling(tmp_path))


def test_copying_what_smiles(run, tmp_path):
    (block,) = recipe("Copy every photo with a smile")
    assert run(block) == (0, b"", "")
    assert sorted(os.listdir(tmp_path / "smiling")) == sorted(map(os.path.basename, smiling(tmp_path)))
    assert len(os.listdir(tmp_path / "smiling")) > 0


def test_cron_is_silent_until_there_is_trouble(run, tmp_path):
    (line,) = recipe("Every night by cron, mail only on trouble", "cron")
    assert re.match(r"(?:[\d*]+ ){5}facetag", line) and not re.search(r"(?<!\\)%", line)
    command = line.split(maxsplit=5)[5].replace("\\%", "%")
    assert run(command) == (0, b"", "")
    for name in "abc":
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(b"no image")
    _, out, _ = run(command)
    assert b"facetag: exit code 3\n" in out, "more than 5 percent failed"


def test_the_units_are_understood_and_their_command_runs(run, tmp_path):
    service, timer = map(unit, recipe("Every night by a systemd timer", "ini"))
    assert timer["Timer"]["OnCalendar"] and service["Service"]["Type"] == "oneshot"
    assert run(service["Service"]["ExecStart"].replace("%%", "%"))[0] == 0
    assert len(records(tmp_path / "tags.csv")) == 4


def test_a_watched_folder_is_answered_and_stopped_as_systemd_does(run, tmp_path):
    (service,) = map(unit, recipe("A folder that fills", "ini"))
    command = service["Service"]["ExecStart"]
    stop = f"{command} & sleep 1; until [ -s {tmp_path}/tags.csv ]; do sleep 0.2; done; kill -TERM $!; wait $!"
    code, _, err = run(stop)
    assert code == 0, err
    assert err.endswith("facetag: no longer watching\n")
    assert len(records(tmp_path / "tags.csv")) == 4


def unit(text):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_a_new_model_is_looked_at_first(run, tmp_path):
    (block,) = recipe("Look before you take a new model")
    code, _, err = run(block)
    assert code == 0 and "nothing changed" in err and (tmp_path / "changes.html").exists()


def test_shares_by_folder(run, tmp_path):
    heading = "The share of smiles by folder"
    (block,) = recipe("The share of smiles by folder")
    code, out, err = run(block)
    assert (code, err) == (0, "") and re.fullmatch(rb"photos\|[\d.]+\n", out)
    (lines,) = recipe(heading, "python")
    assert lines.count("\n") == 3
    for line in lines.splitlines():
        name = line.partition(".")[0]
        if importlib.util.find_spec(name):
            home = os.getcwd()
            os.chdir(tmp_path)
            try:
                answer = str(eval(line, {name: importlib.import_module(name)}))
            finally:
                os.chdir(home)
            assert "photos" in answer and str(float(out.split(b"|")[1]))[:5] in answer


def test_duckdb_chooses_and_names_survive(run, tmp_path):
    (block,) = recipe("Ask DuckDB, and give the files to another program")
    code, out, err = run(block)
    assert (code, err) == (0, "") and out.count(b".jpg") > 0


def test_exiftool_writes_the_keywords(run, tmp_path):
    (block,) = recipe("Write keywords into the photos themselves")
    (tmp_path / "photos" / os.fsdecode(b"new\nline \xff.jpg")).unlink()  # the one name that ExifTool's table cannot say
    (tmp_path / "photos" / "below").mkdir()
    (tmp_path / "photos" / "000000.jpg").rename(tmp_path / "photos" / "below" / "0.jpg")
    (tmp_path / "photos" / "000001.jpg.xmp").write_bytes(Packet().to_bytes())
    assert run(block) == (0, b"", "")
    assert b"facetag/" in run("exiftool -TagsList photos/below/0.jpg")[1]


def test_sidecars_come_and_go(run, tmp_path):
    (block,) = recipe("Sidecars for digiKam, and back")
    write, remove = block.splitlines()
    assert run(write)[0] == 0
    sidecars = list((tmp_path / "photos").glob("*.xmp"))
    assert len(sidecars) == 4 and all(Packet(path.read_bytes()).texts("dc:subject") for path in sidecars)
    assert run(remove)[0] == 0 and list((tmp_path / "photos").glob("*.xmp")) == []


def test_keywords_of_photos_come_into_the_sidecars_and_stay(run, tmp_path):
    (block,) = recipe("Sidecars beside photos that have keywords already")
    run("exiftool -q -overwrite_original -IPTC:Keywords=Berlin photos/000000.jpg")
    xmp = "-XMP-dc:Subject=Paris '-XMP-lr:HierarchicalSubject=Places|Paris'"
    run(f"exiftool -q -overwrite_original {xmp} photos/000001.jpg")
    assert run(block) == (0, b"", "")
    for remove in ("", "facetag untag photos -q"):
        assert run(remove)[0] == 0
        first, second = (Packet((tmp_path / f"photos/00000{n}.jpg.xmp").read_bytes()) for n in (0, 1))
        assert first.texts("dc:subject")[0] == "Berlin" and second.texts("dc:subject")[0] == "Paris"
        assert second.texts("lr:hierarchicalSubject")[0] == "Places|Paris"
    assert first.texts("dc:subject") == ["Berlin"]


def test_a_slurm_array_is_one_run(run, tmp_path):
    part, merge = recipe("Many machines: a Slurm array")
    count = re.search(r"--array=1-(\d+)", part)[1]
    for task in range(1, int(count) + 1):
        assert run(part, SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_TASK_COUNT=count)[0] == 0
    assert run(merge)[0] == 0
    assert len(records(tmp_path / "tags.csv")) == 4


def test_a_kubernetes_job_is_one_run(run, tmp_path):
    yaml = pytest.importorskip("yaml")
    (text,) = recipe("Many machines: a Kubernetes indexed job", "yaml")
    spec = yaml.safe_load(text)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert {each["name"]: each["mountPath"] for each in container["volumeMounts"]} == {
        "photos": "/srv/photos", "tags": "/var/lib/facetag",
    }  # fmt: skip
    assert [each["name"] for each in spec["template"]["spec"]["volumes"]] == ["photos", "tags"]
    assert spec["completionMode"] == "Indexed" and f'/{spec["completions"]}"' in container["args"][0]
    for index in range(spec["completions"]):
        assert run(container["args"][0], JOB_COMPLETION_INDEX=str(index))[0] == 0
    assert run("facetag merge part-*.csv --out tags.csv")[0] == 0 and len(records(tmp_path / "tags.csv")) == 4
    assert "--fail-on" in container["args"][0], "a pod with one broken photo is not started again and again"
