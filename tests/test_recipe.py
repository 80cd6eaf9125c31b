"""Recipes: every shipped one loads and comes back from plain data; a mistake in one is one line."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import DataError, FacetagError
from facetag.settings import plain, settings_from
from facetag.training.recipe import Recipe, load_recipe, shipped_recipes


def refused(path):
    with pytest.raises(FacetagError) as caught:
        load_recipe(str(path))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "odd.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_there_are_recipes():
    assert "faithful" in shipped_recipes()


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_carry_their_name(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    values = json.loads(json.dumps(plain(recipe)))
    assert settings_from(Recipe, values, name) == recipe
    assert plain(recipe) == values


def test_an_empty_recipe_is_the_papers(written):
    assert load_recipe(str(written(""))) == Recipe()
    recipe = Recipe()
    assert recipe.lnet.normalisation == "response" and recipe.lnet_plus.head.hidden == (4096, 4096)
    assert recipe.lnet_o.response == recipe.lnet_s.response == "mean"
    assert recipe.tagger.radius == 8 and recipe.tagger.combination == "concatenate"


def test_a_recipe_by_its_path(written):
    recipe = load_recipe(str(written('name = "mine"\n[lnet_o.scenes]\nside = 131\nheads = [0, 1]\n[svm]\nfolds = 3')))
    assert (recipe.name, recipe.lnet_o.scenes.side, recipe.svm.folds) == ("mine", 131, 3)
    assert recipe.lnet_o.scenes.heads == (0.0, 1.0)


@pytest.mark.parametrize("stage", [field.name for field in fields(Recipe) if field.name != "name"])
def test_unknown_keys_are_named_wherever_they_stand(written, stage):
    assert "tpyo" in refused(written(f"[{stage}]\ntpyo = 1"))


@pytest.mark.parametrize(("text", "words"), [
    ("tpyo = 1", "tpyo"), ("[lnet_o.loop]\nrate = 'fast'", "lnet_o.loop.rate"), ("[svm]\nfolds = 2.5", "svm.folds"),
    ("[lnet]\nnormalisation = 'none'", "lnet.normalisation"), ("lnet_o = 3", "lnet_o"), ("name = ", "mend its TOML"),
    ("name = 1", "name"), (b"name = '\xff'", "mend its TOML"), ("a = " + "[" * 5000, "mend its TOML"),
    ("[tagger]\nradius = 4", "radius"), ("[lnet_s.head]\npooling = 'peak'", "set hidden = []"),
    ("[localizer.head]\nheight = 0.0", "height"), ("[lnet_o.scenes]\nothers = 0.5\nhugest = 1.0", "leave no room"),
    ("[localizer.head]\nrelative = 0.5", "relative"), ("name = 'a'\nname = 'b'", "mend its TOML"),
])  # fmt: skip
def test_mistakes_are_one_line(written, text, words):
    assert words in refused(written(text))


def test_there_is_no_such_recipe(tmp_path):
    assert "No such file" in refused(tmp_path / "nowhere.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "directory" in refused(tmp_path / "folder.toml")
    with pytest.raises(DataError, match=r"no recipe is called 'slow'; shipped: .*faithful"):
        load_recipe("slow")


@given(st.text())
def test_any_text_is_a_recipe_or_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("recipes") / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        load_recipe(str(path))
    except FacetagError as error:
        assert len(str(error).splitlines()) == 1
