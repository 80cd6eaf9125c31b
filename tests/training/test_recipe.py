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
    recipe = load_recipe(
        str(written('name = "mine"\n[lnet_o.scenes]\ninput_size = 131\nheads = [0, 1]\n[svm]\nfolds = 3'))
    )
    assert (recipe.name, recipe.lnet_o.scenes.input_size, recipe.svm.folds) == ("mine", 131, 3)
    assert recipe.lnet_o.scenes.heads == (0.0, 1.0)


@pytest.mark.parametrize(
    "stage", [field.name for field in fields(Recipe) if field.name not in ("name", "localizer_kind")]
)
def test_unknown_keys_are_named_wherever_they_stand(written, stage):
    assert "tpyo" in refused(written(f"[{stage}]\ntpyo = 1"))


def changed(recipe, **values):
    return settings_from(Recipe, plain(recipe) | values, "text")


def test_a_base_has_every_value_that_the_recipe_leaves_out(written):
    base = load_recipe("faithful")
    assert load_recipe(str(written('base = "faithful"'))) == base
    assert load_recipe(str(written('base = "faithful"\nname = "mine"'))) == changed(base, name="mine")


def test_tables_are_merged_key_by_key_however_deep_they_lie(written):
    base = plain(load_recipe("faithful"))
    text = """base = "faithful"
    [lnet_o]
    held_out = 0.1
    scenes = { input_size = 64, colour = { blur = 0.5 } }
    [svm]
    costs = [1.0]"""
    expected = json.loads(json.dumps(base))
    expected["lnet_o"]["held_out"] = 0.1
    expected["lnet_o"]["scenes"]["input_size"] = 64
    expected["lnet_o"]["scenes"]["colour"]["blur"] = 0.5
    expected["svm"]["costs"] = [1.0]
    found = json.loads(json.dumps(plain(load_recipe(str(written(text))))))
    assert found == expected != base
    assert found["lnet_o"]["scenes"]["rotation"] == base["lnet_o"]["scenes"]["rotation"] != 20.0


def test_fast_is_the_faithful_recipe_behind_a_centre_network():
    fast, faithful = load_recipe("fast"), load_recipe("faithful")
    assert (fast.localizer_kind, faithful.localizer_kind) == ("center_net", "lnets")
    own = (
        "name", "note", "localizer_kind", "center_net", "center_localizer", "anet", "teacher", "anet_teacher",
        "anet_attributes", "svm", "tagger",
    )  # fmt: skip
    assert changed(faithful, **{key: plain(fast)[key] for key in own}) == fast


def test_fast_is_fast_box_free_with_a_deeper_anet_whose_centre_network_went_on_with_boxes():
    fast, before = load_recipe("fast"), load_recipe("fast-box-free")
    own = ("name", "note", "center_net", "center_localizer", "anet", "anet_attributes", "svm")
    assert changed(before, **{key: plain(fast)[key] for key in own}) == fast
    assert before.center_net.start == "nothing" and fast.center_net.start == "earlier"


def test_a_base_is_a_shipped_recipe(written, tmp_path):
    (tmp_path / "whole.toml").write_text("")
    for base in ('"slow"', '""', "1", '["faithful"]', "true", "{}", f'"{tmp_path}/whole.toml"'):
        assert "is no shipped recipe; name a shipped one" in refused(written(f"base = {base}"))


def test_a_table_over_a_value_of_the_base_is_refused(written):
    assert "name" in refused(written('base = "faithful"\n[name]\nfirst = 1'))
    assert "center_net" in refused(written('base = "faithful"\ncenter_net = 1'))


@pytest.mark.parametrize(("text", "words"), [
    ("localizer_kind = 'nobody'", "localizer_kind"), ("[localizer_kind]\nx = 1", "localizer_kind"),
    ("[center_localizer]\ninput_size = 100", "input_size"),
    ("[center_localizer]\nscore = 2.0", "score"), ("[center_net]\nnet.widths = ['a']", "net.widths"),
    ("[anet_attributes]\nstart = 'attributes'", "start"),
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


@pytest.mark.parametrize("text", ["a." * 3000 + "b = 1", 'base = "faithful"\n' + "a." * 3000 + "b = 1"])
def test_a_recipe_that_is_nested_too_deep_is_refused_in_one_line(written, text):
    assert "recipe" in refused(written(text))
