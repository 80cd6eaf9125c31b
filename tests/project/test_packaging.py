"""What pyproject, constraints, README and CI promise one another."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements():
    project = PYPROJECT["project"]
    lists = project["dependencies"], PYPROJECT["build-system"]["requires"], *project["optional-dependencies"].values()
    return [r for r in map(Requirement, chain.from_iterable(lists)) if r.name != "facetag"]


def pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def needed_by(name, seen):
    """The installed packages that a package needs here, all the way down."""
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and canonicalize_name(requirement.name) not in seen:
            seen.add(canonicalize_name(requirement.name))
            needed_by(requirement.name, seen)
    return seen


def test_pins_satisfy_every_requirement_and_no_build_is_preferred():
    for requirement in requirements():
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)]), requirement
    assert not any("+" in version for version in pins().values())


def test_pins_reach_all_the_way_down():
    direct = {canonicalize_name(requirement.name) for requirement in requirements()}
    seen = set(direct)
    for name in direct:
        needed_by(name, seen)
    cuda = {name for name in seen if name.startswith(("nvidia-", "cuda-")) or name == "triton"}  # torch pins its own
    assert seen - cuda - set(pins()) == set()


@pytest.mark.parametrize("name", ["numpy", "pillow", "opencv-python", "torch", "pytest", "hypothesis"])
def test_the_tests_run_with_the_pinned_versions(name):
    assert Version(metadata.version(name)).public == pins()[name]


def test_the_first_screen_shows_the_two_commands():
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:24])
    blocks = re.findall(r"^```sh\n(.*?)\n```$", screen, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert re.fullmatch(r"pip install \. -c constraints\.txt && facetag predict examples/photos .+", blocks[0])
    assert re.fullmatch(r"pip install -e '\.\[dev\]' -c constraints\.txt && pytest", blocks[1])


def test_the_readme_names_every_command():
    from facetag import cli

    def names(app, path):
        commands = [(*path, command.name or command.callback.__name__) for command in app.registered_commands]
        groups = [names(group.typer_instance, (*path, group.name)) for group in app.registered_groups]
        return [*commands, *chain.from_iterable(groups)]

    readme = (ROOT / "README.md").read_text()
    every = [" ".join(path) for path in names(cli.app, ("facetag",))]
    assert len(every) > len(cli.COMMANDS)
    assert [name for name in every if name not in readme] == []


def test_the_version_is_said_once():
    from facetag import __version__

    assert PYPROJECT["project"]["version"] == __version__


@pytest.mark.process
def test_a_wheel_has_recipes_and_whole_models_but_nothing_beside_them(tmp_path):
    project = tmp_path / "project"
    for name, text in {
        "pyproject.toml": (ROOT / "pyproject.toml").read_text(),
        "README.md": "#", "LICENSE": "MIT", "LICENSE-WEIGHTS.md": "#",
        "docs/facetag.1": ".TH", "docs/commands.md": "#",
        "src/facetag/__init__.py": "", "src/facetag/recipes/faithful.toml": "",
        "models/a/anet.safetensors": "", "models/a/model.json": "{}", "models/a/CARD.md": "#",
        "models/a/last.ckpt": "", "models/a/log.jsonl": "", "data/celeba/1.jpg": "",
    }.items():  # fmt: skip
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {
        "facetag/__init__.py", "facetag/recipes/faithful.toml",
        "facetag-0.1.0.data/data/share/man/man1/facetag.1",
        "facetag/models/a/anet.safetensors", "facetag/models/a/model.json", "facetag/models/a/CARD.md",
    }  # fmt: skip


def test_every_classifier_exists():
    from trove_classifiers import classifiers

    assert set(PYPROJECT["project"]["classifiers"]) <= classifiers


def test_the_image_runs_without_rights_and_asks_for_nothing_that_is_not_sent():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users and users[-1].isdigit() and int(users[-1]) > 0
    sent = {line[1:].strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]]
    assert len(copied) > 5 and set(copied) == sent and all((ROOT / name).exists() for name in copied)
    assert "constraints.txt" in copied and any("opencv-python-headless==" in line for line in lines)
