import pytest

from facetag import cli, model
from facetag import model_folder as folders
from facetag.errors import ExitCode
from models import CARD


@pytest.fixture
def shipped(model_folder, monkeypatch):
    monkeypatch.setattr(folders, "models_folder", lambda: model_folder.parent)
    return model_folder


def test_shipped_models_are_listed(shipped, capsys):
    assert cli.run(["model", "list"]) == ExitCode.OK
    assert capsys.readouterr().out == "random\n"


@pytest.mark.parametrize("by_name", [True, False])
def test_info_is_facts_and_the_card(shipped, capsys, by_name):
    assert cli.run(["model", "info", "random" if by_name else str(shipped)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith(f"name: random\nfolder: {shipped}\nweights: ") and out.endswith(CARD)
    assert '"crop_size": 67' in out


def test_verify_is_content_with_a_whole_model_alone(shipped, capsys, tmp_path):
    assert cli.run(["model", "verify", "random"]) == ExitCode.OK
    assert capsys.readouterr().out == f"random: whole, digest {model.load_model(str(shipped)).fingerprint}\n"
    for file in shipped.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "svm.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"!")
    assert cli.run(["model", "verify", str(tmp_path)]) == ExitCode.FATAL
    assert "svm.safetensors is not the file that the model was saved with" in capsys.readouterr().err


def test_a_model_without_its_card_says_so(shipped, capsys, tmp_path):
    (tmp_path / "model.json").write_bytes((shipped / "model.json").read_bytes())
    assert cli.run(["model", "info", str(tmp_path)]) == ExitCode.FATAL
    assert "CARD.md: No such file" in capsys.readouterr().err


def test_the_default_model_is_asked_for_when_none_is_named(shipped, capsys):
    assert cli.run(["model", "info"]) == ExitCode.FATAL
    assert capsys.readouterr().err == f"facetag: error: no model at '{folders.DEFAULT}'; shipped models: random\n"
