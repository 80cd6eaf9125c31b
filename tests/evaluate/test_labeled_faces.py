from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import models
from facetag.attributes import ATTRIBUTES
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.errors import DataError, UsageError
from facetag.evaluate.attributes import aligned_faces
from facetag.evaluate.image_batches import load_pixels
from facetag.evaluate.labeled_faces import activations, identity_anet, layers_of, own_images
from facetag.networks.anet import FEATURES, ANetSettings
from facetag.networks.anet_heads import IdentityNet, build_anet
from facetag.networks.wide_anet import WideANet
from facetag.tagger import Tagger
from facetag.training.checkpoint import save_best
from facetag.training.recipe import load_recipe


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    found = [tmp_path / f"{number}.png" for number in range(3)]
    for path in found:
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (178, 218)))
    return found


def test_fc_is_what_the_svms_see_of_one_view(paths: list[Path]) -> None:
    tagger = Tagger(models.random_model())
    found = activations(paths, aligned_faces, tagger, {"attributes": tagger.model.anet})
    seen = tagger.extract([tagger.region(load_pixels(path), ALIGNED_FACE) for path in paths])
    assert found.rows.tolist() == [0, 1, 2] and found.windows.shape == (3, 55, 47, 3)
    assert found.layers["attributes"]["fc"] == pytest.approx(seen, abs=1e-4) and seen.shape == (3, FEATURES)
    assert {name: each.shape[1] for name, each in found.layers["attributes"].items()} == {
        "c3": 1200,
        "c4": 960,
        "fc": 160,
    }


def test_the_wide_nets_context_is_a_layer_of_its_own() -> None:
    net = WideANet().eval()
    images = torch.rand(2, 3, 128, 112)
    layers = layers_of(net, images)
    assert list(layers) == ["c3", "c4", "context", "fc"]
    assert torch.allclose(layers["fc"], net(images), atol=1e-5)


def test_images_without_a_face_are_left_out(paths: list[Path]) -> None:
    tagger = Tagger(models.random_model())
    nets = {"attributes": tagger.model.anet}
    found = activations(paths, lambda images: [[], *aligned_faces(images[1:])], tagger, nets)
    assert found.rows.tolist() == [1, 2] and len(found.windows) == 2
    with pytest.raises(DataError, match="no face was found in any of 3"):
        activations(paths, lambda images: [[] for _ in images], tagger, nets)


def test_nets_of_other_windows_are_refused(paths: list[Path]) -> None:
    tagger = Tagger(models.random_model())
    with pytest.raises(UsageError, match="windows of different sizes"):
        activations(paths, aligned_faces, tagger, {"identities": WideANet().eval()})


def test_own_images_know_who_is_shown(paths: list[Path], tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("file,Smiling,identity\n0.png,1,ann\n1.png,,\n2.png,0,ann\n")
    chosen = own_images(labels, tmp_path)
    assert chosen.paths == paths and chosen.values[:, ATTRIBUTES.index("Smiling")].tolist() == [1, -1, 0]
    first, second, third = chosen.identities
    assert first == third != second
    labels.write_text("file,Smiling\n0.png,1\n1.png,0\n")
    assert len(set(own_images(labels, tmp_path).identities)) == 2


def test_the_net_after_identities_is_that_of_the_run(tmp_path: Path) -> None:
    recipe = load_recipe("faithful")
    (tmp_path / "anet_identities").mkdir()
    trained = IdentityNet(5, recipe.anet)
    save_best(tmp_path / "anet_identities", trained, {})
    net = identity_anet(tmp_path, recipe)
    images = torch.rand(2, 3, 55, 47)
    assert torch.allclose(net(images), trained.eval().anet(images), atol=1e-3)
    save_best(tmp_path / "anet_identities", IdentityNet(5, ANetSettings("c4")), {})
    assert build_anet(recipe.anet).settings.fc_inputs == "c3_c4"
    with pytest.raises(DataError, match="trained by another recipe"):
        identity_anet(tmp_path, recipe)
