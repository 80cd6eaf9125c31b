"""What training leaves on disk appears whole or not at all, and what is damaged is refused in one line."""

import json
import os
import pickle
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from facetag.errors import DataError
from facetag.training import checkpoint

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Made:
    widths: tuple[int, ...] = (2, 3)
    rate: float = 0.1


@dataclass(frozen=True)
class Grown(Made):
    """The same after a new version gave it another setting."""

    added: int = 7


def state():
    return {"model": {"w": torch.arange(6.0).reshape(2, 3)}, "best": float("-inf"), "step": 5}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    checkpoint.save(folder, state(), Made(), Grown())
    return (folder / "checkpoint.pt").read_bytes()


def test_round_trip(tmp_path):
    checkpoint.save(tmp_path, state(), Made(rate=1), Grown())
    found = checkpoint.load(tmp_path, Made(rate=1.0), Grown(), device=CPU)
    assert torch.equal(found["model"]["w"], state()["model"]["w"])
    assert (found["best"], found["step"]) == (float("-inf"), 5)
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


@pytest.mark.parametrize(
    "settings", [(Made(rate=0.2), Grown()), (Made(), Grown(added=8)), (Made(), Grown((2,))), (Made((2, 3, 4)), Grown())]
)
def test_other_settings_are_refused(tmp_path, settings):
    checkpoint.save(tmp_path, state(), Made(), Grown())
    with pytest.raises(DataError, match="other settings"):
        checkpoint.load(tmp_path, *settings, device=CPU)


def test_a_setting_that_is_new_since_then_had_its_default(tmp_path):
    checkpoint.save(tmp_path, state(), Made(), Made())
    assert checkpoint.load(tmp_path, Made(), Grown(), device=CPU)["step"] == 5
    with pytest.raises(DataError, match="other settings"):
        checkpoint.load(tmp_path, Made(), Grown(added=8), device=CPU)


def test_there_is_none(tmp_path):
    with pytest.raises(DataError, match="does not exist; start without --resume"):
        checkpoint.load(tmp_path, Made(), device=CPU)


class Booby:
    def __reduce__(self):
        return os.mkdir, (os.environ["FACETAG_BOOBY"],)


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.setenv("FACETAG_BOOBY", str(tmp_path / "sprung"))
    for write in (lambda path: torch.save(Booby(), path), lambda path: path.write_bytes(pickle.dumps(Booby()))):
        write(tmp_path / "checkpoint.pt")
        with pytest.raises(DataError, match="damaged"):
            checkpoint.load(tmp_path, Made(), device=CPU)
    assert not (tmp_path / "sprung").exists()


def spoiled(whole):
    """Truncated, overwritten, or something else altogether."""
    cut = st.integers(0, len(whole) - 1).map(lambda length: whole[:length])
    place = st.tuples(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=40))
    written = place.map(lambda change: whole[: change[0]] + change[1] + whole[change[0] + len(change[1]) :])
    return st.one_of(cut, written, st.binary(), st.binary().map(lambda rest: b"\x80\x02" + rest))


@examples(max_examples=150)
@given(st.data())
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path_factory, whole, data):
    folder = tmp_path_factory.mktemp("spoiled")
    (folder / "checkpoint.pt").write_bytes(data.draw(spoiled(whole)))
    try:
        checkpoint.load(folder, Made(), Grown(), device=CPU)
    except DataError as error:
        assert len(str(error).splitlines()) == 1


@examples(max_examples=100)
@given(st.data())
def test_no_flipped_weight_is_resumed_from(tmp_path_factory, whole, data):
    numbers = torch.arange(6.0).numpy().tobytes()
    place = whole.index(numbers) + data.draw(st.integers(0, len(numbers) - 1))
    flipped = whole[place] ^ data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("flipped")
    (folder / "checkpoint.pt").write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load(folder, Made(), Grown(), device=CPU)


@pytest.mark.parametrize(
    "content", [3, {}, [1], {"settings": 5}, {"settings": "{"}, {"settings": "3"}, {"settings": "[3]"}]
)
def test_another_file_of_torchs_is_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError):
        checkpoint.load(tmp_path, Made(), Grown(), device=CPU)


@pytest.mark.parametrize("name", ["checkpoint.pt", "best.safetensors", "metrics.jsonl"])
def test_dying_on_the_way_leaves_the_old_file(tmp_path, name, monkeypatch):
    write = {
        "checkpoint.pt": lambda step: checkpoint.save(tmp_path, {**state(), "step": step}, Made()),
        "best.safetensors": lambda step: checkpoint.save_best(tmp_path, nn.Linear(step, 1), {"figure": step}),
        "metrics.jsonl": lambda step: checkpoint.rewind_metrics(tmp_path, step),
    }[name]
    if name == "metrics.jsonl":
        checkpoint.append_metrics(tmp_path, {"step": 9})
    write(9)
    before = (tmp_path / name).read_bytes()
    assert len(before) > 5

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write(3)
    assert (tmp_path / name).read_bytes() == before


def test_best_comes_back_with_its_figures(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    checkpoint.save_best(tmp_path, net, {"accuracy": 0.5, "epoch": 2})
    assert checkpoint.figures(tmp_path) == {"accuracy": 0.5, "epoch": 2}
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    checkpoint.load_best(tmp_path, other)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in net.state_dict().items())


def test_a_best_that_is_missing_damaged_or_of_another_net(tmp_path):
    with pytest.raises(DataError, match="train the stage"):
        checkpoint.load_best(tmp_path, nn.Linear(1, 1))
    checkpoint.save_best(tmp_path, nn.Linear(2, 1), {})
    with pytest.raises(DataError, match="does not fit the recipe"):
        checkpoint.load_best(tmp_path, nn.Linear(1, 1))
    os.truncate(tmp_path / "best.safetensors", 20)
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load_best(tmp_path, nn.Linear(2, 1))


def test_clearing_takes_what_training_leaves_and_nothing_else(tmp_path):
    for name in ("checkpoint.pt", "best.safetensors", "metrics.jsonl", "notes.txt"):
        (tmp_path / name).write_text("x")
    checkpoint.clear(tmp_path)
    checkpoint.clear(tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_rewinding_metrics(tmp_path):
    checkpoint.rewind_metrics(tmp_path, 3)
    for step in (1, 2, 2, 3, 4, 5):
        checkpoint.append_metrics(tmp_path, {"step": step, "loss": step / 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    checkpoint.rewind_metrics(tmp_path, 3)
    found = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert found == [1, 2, 2, 3]
