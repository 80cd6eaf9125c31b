"""The model folder: what was saved comes back, what was altered is refused in one line, nothing in it is ever run."""

import dataclasses
import hashlib
import json
import os
import pickle
import random
import re
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from facetag import model as module
from facetag import model_folder as folders
from facetag.attributes import ATTRIBUTES
from facetag.errors import FacetagError, ModelError
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model import (
    Model,
    RespondingLNet,
    load_model,
    save_model,
)
from facetag.model_folder import (
    CENTER_FILES,
    FILES,
    find_model,
    models_folder,
    read_description,
    shipped_models,
    verify_model,
)
from facetag.networks.anet import ANet, ANetSettings
from facetag.networks.lnet import LNet, LNetSettings
from models import NARROW, random_center_net


def made_model(seed=0, fc_inputs="c3_c4"):
    """A model of random weights that fp16 holds exactly."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    nets = [LNet(LNetSettings(kind)).half().float().eval() for kind in ("folded", "response")]
    anet = ANet(ANetSettings(fc_inputs)).half().float().eval()
    return Model(
        name="made",
        lnet_o=RespondingLNet(nets[0], torch.randn(256).half().float(), 0.25),
        lnet_s=RespondingLNet(nets[1], torch.full((256,), 1 / 256), -1.5),
        anet=anet,
        svm=LinearSVM(*(rng.random(shape).astype(np.float32) for shape in ((40, 160), 40, 160, 160))),
        calibration=Calibration(rng.random(40), rng.normal(size=40)),
        thresholds=np.round(rng.random(40), 6),
        localizer={"input_sizes": [227, 451], "face": {"threshold": 0.25}},
        tagger={"radius": 0, "combination": "average"},
        training={"recipe": {"name": "made"}, "images": {"9": 1, "10": 2}},
    )


@pytest.fixture(scope="module")
def original():
    return made_model()


@pytest.fixture(scope="module")
def saved(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "made"
    save_model(original, folder, "# Card\n")
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(saved, tmp_path / "copy")


def rewrite(folder, **changes):
    """Change model.json as a program would that knows how it is verified."""
    path = folder / "model.json"
    description = {**json.loads(path.read_text()), **changes}
    for name in (path.name for path in folder.glob("*.safetensors")):
        description["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    description["sha256"]["model.json"] = folders.description_digest(description)
    path.write_text(json.dumps(description))


def refused(folder):
    """The one line that refuses a folder."""
    with pytest.raises(ModelError) as caught:
        load_model(str(folder))
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.strip()
    return message


def test_what_was_saved_comes_back(original, saved):
    found = load_model(str(saved))
    for part in ("lnet_o", "lnet_s"):
        before, after = getattr(original, part), getattr(found, part)
        assert after.net.settings == before.net.settings and after.bias == before.bias
        assert torch.equal(after.weights, before.weights)
        assert_same_tensors(after.net, before.net)
    assert found.anet.settings == original.anet.settings
    assert_same_tensors(found.anet, original.anet)
    for name in ("weights", "bias", "mean", "scale"):
        np.testing.assert_array_equal(getattr(found.svm, name), getattr(original.svm, name))
    np.testing.assert_array_equal(found.calibration.slope, original.calibration.slope)
    np.testing.assert_array_equal(found.calibration.intercept, original.calibration.intercept)
    np.testing.assert_array_equal(found.thresholds, original.thresholds)
    for name in ("name", "localizer", "tagger", "training"):
        assert getattr(found, name) == getattr(original, name)
    assert (saved / "CARD.md").read_text() == "# Card\n"


def assert_same_tensors(after, before):
    expected = before.state_dict()
    assert after.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in after.state_dict().items())


def test_loaded_nets_are_for_use(saved):
    found = load_model(str(saved))
    for net in (found.lnet_o.net, found.lnet_s.net, found.anet):
        assert not net.training
        assert not any(parameter.requires_grad for parameter in net.parameters())
        assert all(tensor.dtype == torch.float32 for tensor in net.state_dict().values())


def test_saving_what_was_loaded_gives_the_same_bytes(saved, tmp_path):
    save_model(load_model(str(saved)), tmp_path / "again", "# Card\n")
    for name in (*FILES, "model.json", "CARD.md"):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


def test_fingerprint_tells_models_apart(original, saved, tmp_path):
    found = load_model(str(saved)).fingerprint
    assert len(found) == 64 and found == load_model(str(saved)).fingerprint
    save_model(dataclasses.replace(original, thresholds=original.thresholds * 0.5), tmp_path / "other", "")
    other = load_model(str(tmp_path / "other"))
    assert other.fingerprint != found
    with torch.no_grad():
        other.anet.fc.bias += 1
    save_model(dataclasses.replace(other, thresholds=original.thresholds), tmp_path / "third", "")
    assert load_model(str(tmp_path / "third")).fingerprint not in (found, other.fingerprint)


@pytest.mark.parametrize("name", [*FILES, "model.json"])
def test_a_flipped_byte_is_refused(folder, name):
    path = folder / name
    whole = path.read_bytes()
    rng = random.Random(name)
    for place in [0, len(whole) - 2, *(rng.randrange(len(whole)) for _ in range(5 if name.startswith("lnet") else 25))]:
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ rng.choice([1, 2, 4, 8, 16, 64, 128])]) + whole[place + 1 :]
        )
        assert name in refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(folder, name):
    os.truncate(folder / name, (folder / name).stat().st_size // 2)
    assert name in refused(folder)


def test_a_folder_without_a_description_is_no_model(folder):
    (folder / "model.json").unlink()
    assert "no model" in refused(folder)


@pytest.mark.parametrize("number", [None, 0, 3, "1", [1]])
def test_another_format_is_refused(folder, number):
    rewrite(folder, format=number)
    assert "format 1 or 2" in refused(folder)


@pytest.mark.parametrize(
    "attributes", [[], list(ATTRIBUTES[:-1]), [*ATTRIBUTES, "Extra"], ["Young"] * 40, None, "Young", 3]
)
def test_attributes_that_do_not_fit_the_rest_are_refused(folder, attributes):
    rewrite(folder, attributes=attributes)
    assert re.search("not a facetag model|attributes or groups in model.json are malformed", refused(folder))


@pytest.mark.parametrize("changes", [
    {"lnet_o": None}, {"lnet_o": {"settings": {"normalization": "batch"}, "bias": 0}}, {"lnet_s": {"settings": {}}},
    {"lnet_o": {"settings": {"normalisation": "batch"}, "bias": 0}}, {"anet": {"settings": {"fc_inputs": "c4"}}},
    {"lnet_o": {"settings": {"normalisation": "folded"}, "bias": "x"}}, {"anet": []},
    {"thresholds": [0.5]}, {"thresholds": 0.5}, {"thresholds": ["x"] * 40}, {"thresholds": [float("nan")] * 40},
    {"slope": [1.0] * 39}, {"slope": [[1.0]] * 40}, {"intercept": [None] * 40}, {"intercept": {}},
    {"slope": [10**400] * 40},
])  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(folder, changes):
    rewrite(folder, **changes)
    refused(folder)


@pytest.mark.parametrize("key", ["name", "lnet_o", "anet", "localizer", "tagger", "training", "slope"])
def test_a_missing_key_is_refused(folder, key):
    description = json.loads((folder / "model.json").read_text())
    del description[key]
    description["sha256"]["model.json"] = folders.description_digest(description)
    (folder / "model.json").write_text(json.dumps(description))
    assert key in refused(folder)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe\x00", b"null", b"[]", b'"model"', b"1", b"[" * 100_000, b"\x80\x02."]
)
def test_garbage_is_not_a_description(folder, text):
    (folder / "model.json").write_bytes(text)
    refused(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
keys = (
    "format",
    "name",
    "attributes",
    "lnet_o",
    "lnet_s",
    "anet",
    "localizer",
    "tagger",
    "thresholds",
    "slope",
    "sha256",
)


@examples(max_examples=30)
@given(key=st.sampled_from(keys), value=json_values, honest=st.booleans())
def test_any_json_in_any_place_is_a_model_or_one_line(saved, tmp_path_factory, key, value, honest):
    folder = tmp_path_factory.mktemp("spoiled")
    for name in FILES:
        (folder / name).symlink_to(saved / name)
    description = {**json.loads((saved / "model.json").read_text()), key: value}
    if honest and isinstance(description["sha256"], dict):
        description["sha256"]["model.json"] = folders.description_digest(description)
    (folder / "model.json").write_text(json.dumps(description))
    try:
        load_model(str(folder))
    except ModelError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert honest or description == json.loads((saved / "model.json").read_text())


@pytest.mark.parametrize("spoil", [
    lambda tensors: tensors.pop("response_weights"),
    lambda tensors: tensors.update(response_weights=torch.zeros(255).half()),
    lambda tensors: tensors.pop("mean"),
    lambda tensors: tensors.update(extra=torch.zeros(1)),
    lambda tensors: tensors.update({"layers.0.weight": torch.zeros(96, 3, 11, 12).half()}),
])  # fmt: skip
def test_weights_of_another_net_are_refused(folder, spoil):
    tensors = load_file(folder / "lnet_o.safetensors")
    spoil(tensors)
    save_file(tensors, folder / "lnet_o.safetensors")
    rewrite(folder)
    refused(folder)


def test_svms_of_other_attributes_are_refused(folder):
    tensors = load_file(folder / "svm.safetensors")
    save_file({name: tensor[:39].clone() for name, tensor in tensors.items()}, folder / "svm.safetensors")
    rewrite(folder)
    refused(folder)


class Booby:
    def __reduce__(self):
        return os.mkdir, (os.environ["FACETAG_BOOBY"],)


@pytest.mark.parametrize("name", [*FILES, "model.json"])
def test_nothing_pickled_is_ever_loaded(folder, tmp_path, name, monkeypatch):
    monkeypatch.setenv("FACETAG_BOOBY", str(tmp_path / "sprung"))
    if name == "model.json":
        (folder / name).write_bytes(pickle.dumps(Booby()))
    else:
        torch.save({"layers.0.weight": Booby()}, folder / name)
        rewrite(folder)
    refused(folder)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Booby()))
    assert (tmp_path / "sprung").exists(), "the trap must work, or this test shows nothing"


def test_half_a_save_is_no_model(original, folder, monkeypatch):
    """Saving over a model and dying on the way must not leave the old description over new weights."""

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save", die)
    with pytest.raises(KeyboardInterrupt):
        save_model(original, folder, "")
    assert "no model" in refused(folder)


def test_weights_too_large_for_fp16_are_our_bug(original, tmp_path):
    anet = ANet(original.anet.settings)
    anet.load_state_dict(original.anet.state_dict())
    anet.fc.bias.data[0] = 1e6
    with pytest.raises(AssertionError, match="fp16"):
        save_model(dataclasses.replace(original, anet=anet), tmp_path / "large", "")


def test_files_can_be_read_by_others(saved):
    for name in (*FILES, "model.json", "CARD.md"):
        assert (saved / name).stat().st_mode & 0o444 == 0o444 & ~umask(), name


def umask():
    value = os.umask(0)
    os.umask(value)
    return value


def test_found_by_path_and_by_name(saved, tmp_path, monkeypatch):
    assert find_model(str(saved)) == saved
    monkeypatch.setattr(folders, "models_folder", lambda: saved.parent)
    assert find_model("made") == saved and shipped_models() == ["made"]
    monkeypatch.chdir(saved.parent)
    monkeypatch.setattr(folders, "models_folder", lambda: tmp_path)
    assert find_model("made").resolve() == saved
    assert shipped_models() == []


@pytest.mark.parametrize("name", ["nobody", "", ".", "..", "no/body", "a\0b"])
def test_what_is_not_there_names_what_is(saved, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "models_folder", lambda: saved.parent)
    with pytest.raises(ModelError, match=r"no model at .*; shipped models: made"):
        find_model(name)


def test_models_are_sought_in_a_folder_called_models():
    assert models_folder().name == "models"


def test_parts_complain_alone(folder):
    with pytest.raises(ModelError):
        read_description(folder / "nowhere")
    description = read_description(folder)
    verify_model(folder, description)
    with pytest.raises(FacetagError, match="altered"):
        verify_model(folder, {**description, "thresholds": [0.0] * 40})


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FacetagError, match=r"^cannot write .*file.*: Not a directory; choose another place"):
        save_model(made_model(), tmp_path / "file" / "model", "# Card")


@pytest.fixture(scope="module")
def taught(original):
    """The made model behind a centre network."""
    return dataclasses.replace(
        original, lnet_o=None, lnet_s=None, center_net=random_center_net(0), localizer={"input_size": 64, "down": 0.25}
    )


@pytest.fixture(scope="module")
def saved_center(taught, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "taught"
    save_model(taught, folder, "# Card\n")
    return folder


@pytest.fixture
def center_copy(saved_center, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(saved_center, tmp_path / "center_net")


def test_a_centre_network_that_was_saved_comes_back_ready_for_use(taught, saved_center):
    assert {path.name for path in saved_center.iterdir()} == {*CENTER_FILES, "model.json", "CARD.md"}
    found = load_model(str(saved_center))
    assert found.lnet_o is found.lnet_s is None
    assert found.center_net.settings == dataclasses.replace(NARROW, normalisation="folded")
    assert_same_tensors(found.center_net, taught.center_net)
    assert not found.center_net.training and not any(weight.requires_grad for weight in found.center_net.parameters())
    assert (found.localizer, found.tagger) == (taught.localizer, taught.tagger)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(found.center_net(images), taught.center_net(images))


def test_saving_a_loaded_centre_network_gives_the_same_bytes(saved_center, tmp_path):
    save_model(load_model(str(saved_center)), tmp_path / "again", "# Card\n")
    for name in (*CENTER_FILES, "model.json", "CARD.md"):
        assert (tmp_path / "again" / name).read_bytes() == (saved_center / name).read_bytes()


def test_a_centre_network_in_place_of_lnets_and_the_other_way_round(original, taught, folder):
    save_model(taught, folder, "")
    assert load_model(str(folder)).center_net is not None
    save_model(original, folder, "")
    assert load_model(str(folder)).center_net is None


def test_a_model_has_lnets_or_a_centre_network(original, taught):
    for model, changes in (
        (original, {"center_net": taught.center_net}),
        (original, {"lnet_s": None}),
        (taught, {"center_net": None}),
    ):
        with pytest.raises(AssertionError):
            dataclasses.replace(model, **changes)


@pytest.mark.parametrize("spoil", [
    lambda path: path.unlink(), lambda path: os.truncate(path, path.stat().st_size // 2),
    lambda path: os.truncate(path, 0), lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
    lambda path: torch.save({"outputs.bias": torch.zeros(4)}, path),
])  # fmt: skip
def test_a_damaged_or_missing_centre_network_is_named(center_copy, spoil):
    spoil(center_copy / "center_net.safetensors")
    assert "center_net.safetensors" in refused(center_copy)


def test_a_centre_network_that_is_not_what_model_json_says_is_refused(center_copy):
    (center_copy / "center_net.safetensors").write_bytes(b"\0" * 100)
    rewrite(center_copy)
    assert "not a facetag model" in refused(center_copy)


@pytest.mark.parametrize("center_net", [
    None, [], 3, "center_net", {}, {"settings": None}, {"settings": {"blocks": "deep"}}, {"settings": {"tpyo": 1}},
    {"settings": {}}, {"settings": {"widths": [4, 8]}}, {"settings": {"widths": [4, 8, 8, 12, 13]}},
    {"settings": {"widths": [-4, 8, 8, 12, 12]}},
    {"settings": {"widths": [4.5, 8, 8, 12, 12]}}, {"settings": {"widths": []}}, {"settings": {"neck": -1}},
    {"settings": {"widths": [4, 8, 8, 12, 12], "blocks": [1, 1, 1], "neck": 8, "normalisation": "folded"}},
    {"settings": {"widths": [4, 8, 8, 12, 12], "blocks": [1, 1, 0, 0], "neck": 8, "normalisation": "folded"}},
    {"settings": {"widths": [4, 8, 8, 12, 12], "blocks": [1, 1, 0], "neck": 8, "normalisation": "batch"}},
])  # fmt: skip
def test_a_description_of_another_centre_network_is_refused(center_copy, center_net):
    rewrite(center_copy, center_net=center_net)
    assert "not a facetag model" in refused(center_copy)


@pytest.mark.parametrize("spoil", [
    lambda tensors: tensors.pop("outputs.bias"),
    lambda tensors: tensors.update(extra=torch.zeros(1)),
    lambda tensors: tensors.update({"outputs.weight": torch.zeros(5, 9, 1, 1).half()}),
])  # fmt: skip
def test_weights_of_another_centre_network_are_refused(center_copy, spoil):
    tensors = load_file(center_copy / "center_net.safetensors")
    spoil(tensors)
    save_file(tensors, center_copy / "center_net.safetensors")
    rewrite(center_copy)
    assert "not a facetag model" in refused(center_copy)


def test_lnets_are_not_looked_for_where_there_is_a_centre_network_but_a_centre_network_is(folder, center_copy):
    description = json.loads((center_copy / "model.json").read_text())
    del description["center_net"]
    description["sha256"]["model.json"] = folders.description_digest(description)
    (center_copy / "model.json").write_text(json.dumps(description))
    assert "lnet_o.safetensors" in refused(center_copy)
    rewrite(folder, center_net={"settings": {}})
    assert "center_net.safetensors" in refused(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e38])
@pytest.mark.parametrize("name", ["lnet_o", "anet"])
def test_weights_that_would_answer_nothing_in_silence_are_refused(folder, name, number):
    tensors = {key: tensor.float() for key, tensor in load_file(folder / f"{name}.safetensors").items()}
    next(iter(tensors.values())).view(-1)[0] = number
    save_file(tensors, folder / f"{name}.safetensors")
    rewrite(folder)
    assert "holds numbers that are no weights" in refused(folder)


@pytest.mark.parametrize(("name", "number"), [("weights", float("nan")), ("bias", float("inf")), ("scale", 0.0)])
def test_svms_that_are_no_numbers_are_refused(folder, name, number):
    tensors = load_file(folder / "svm.safetensors")
    tensors[name].view(-1)[0] = number
    save_file(tensors, folder / "svm.safetensors")
    rewrite(folder)
    refused(folder)


@pytest.mark.parametrize("name", ["anet.safetensors", "svm.safetensors"])
@pytest.mark.parametrize("kind", ["endless", "fifo", "folder"])
def test_a_weight_file_that_is_no_file_is_refused_at_once(folder, name, kind):
    (folder / name).unlink()
    if kind == "endless":
        (folder / name).symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(folder / name)
    else:
        (folder / name).mkdir()
    assert name in refused(folder)


def _header(text, length=None):
    data = text.encode()
    return (len(data) if length is None else length).to_bytes(8, "little") + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        _header("{}", 2**63),
        _header("{}", 100),
        _header("[" * 100_000),
        _header('{"a":' * 50_000),
        _header('{"a":{"dtype":"F32","shape":[1073741824,1073741824],"data_offsets":[0,4]}}') + bytes(4),
        _header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}') + bytes(4),
        _header('{"a":{"dtype":"OBJECT","shape":[1],"data_offsets":[0,4]}}') + bytes(4),
        _header('{"c1.weight":{"dtype":"BOOL","shape":[0],"data_offsets":[0,0]}}'),
        pickle.dumps(os.getcwd),
        b"PK\x03\x04" + bytes(100),
    ],
    ids=range(11),
)
def test_hostile_weight_files_are_refused_in_one_line(folder, content):
    (folder / "anet.safetensors").write_bytes(content)
    rewrite(folder)
    refused(folder)
