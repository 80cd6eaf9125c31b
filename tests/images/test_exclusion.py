"""`--exclude` by gitignore's rules: what they say, what became of the patterns of before, and names of all kinds."""

import fnmatch
import itertools

import pytest

from facetag.errors import UsageError
from facetag.images.exclusion import Exclusion

TREE = [
    "a.jpg", "b.png", "x/a.jpg", "x/y/a.jpg", "x/y/c.jpg", "y/x/b.jpg", "z.jpg/a.png", "#1.jpg", "[a].jpg",
    "photos/x/a.jpg",
]  # fmt: skip
PHOTOS = "photos"


def left(*patterns, tree=TREE, above=PHOTOS):
    """What a walk of `above` meets, folder before file, as `Discovery` asks."""
    excluded = Exclusion(patterns)

    def is_met(name):
        return not any(excluded(f"{above}/{path}", path, is_folder=path != name) for path in paths_to(name))

    return [name for name in tree if is_met(name)]


def left_before(*patterns):
    """What facetag 0.1's development versions met: globs by fnmatch."""

    globs = [pattern.rstrip("/") for pattern in patterns]

    def is_excluded(path, glob):
        return fnmatch.fnmatchcase(path if "/" in glob else path.split("/")[-1], glob)

    def is_met(name):
        return not any(map(is_excluded, *zip(*itertools.product(paths_to(name), globs), strict=True)))

    return [name for name in TREE if is_met(name)]


def paths_to(name):
    """The folders above a file, and the file."""
    return itertools.accumulate(name.split("/"), "{}/{}".format)


@pytest.mark.parametrize(
    "pattern", ["x", "x/", "a.jpg", "*.png", "[!ax]*", "?.jpg", "x/y", "x/y/", "x/y/a.jpg", "*/x", "nothing"]
)
def test_common_patterns_exclude_what_they_did_before(pattern):
    assert left(pattern) == left_before(pattern)


@pytest.mark.parametrize(
    ("pattern", "no_longer", "now"),
    [
        ("*/a.jpg", "x/y/a.jpg photos/x/a.jpg", ""),  # a star ends at a slash
        ("x*/a*", "x/y/a.jpg", ""),
        ("a.jpg/", "a.jpg x/a.jpg x/y/a.jpg photos/x/a.jpg", ""),  # a folder alone
        ("x/*a.jpg", "x/y/a.jpg", ""),
        ("/x", "", "x/a.jpg x/y/a.jpg x/y/c.jpg"),  # from the input on
        ("**/y", "", "y/x/b.jpg"),  # two stars are any folders, none among them
        ("\\[a].jpg", "", "[a].jpg"),
    ],
)
def test_patterns_that_exclude_something_else_than_before(pattern, no_longer, now):
    before, after = left_before(pattern), left(pattern)
    assert [name for name in after if name not in before] == no_longer.split()
    assert [name for name in before if name not in after] == now.split()


def test_a_pattern_with_an_exclamation_mark_takes_back():
    assert left("*.jpg", "!a.jpg") == ["a.jpg", "b.png", "x/a.jpg", "x/y/a.jpg", "photos/x/a.jpg"]
    assert left("*.jpg", "!x/y") == ["b.png"], "the folder is entered, its files are excluded by their own names"
    assert left("x", "!x/a.jpg") == left("x"), "nothing comes back out of a folder that is not entered"
    assert left("/*", "!x/") == ["x/a.jpg", "x/y/a.jpg", "x/y/c.jpg"]
    assert left("*", "!*/", "!a.jpg") == ["a.jpg", "x/a.jpg", "x/y/a.jpg", "photos/x/a.jpg"]


def test_a_pattern_may_begin_with_the_input():
    kept = [name for name in TREE if not name.startswith("x/")]
    for above, pattern in ((PHOTOS, "photos/x"), (PHOTOS, "photos/x/*"), (".", "./x/"), ("/tmp/in", "/tmp/in/x")):
        assert left(pattern, above=above) == kept
    assert left("x", "!photos/x") == [name for name in TREE if not name.startswith(("y/", "photos/"))]
    assert left("photos/", above=PHOTOS) == [name for name in TREE if not name.startswith("photos/")]


def test_a_leading_hash_is_part_of_a_name():
    assert left("#1.jpg") == [name for name in TREE if name != "#1.jpg"]


def test_names_of_all_kinds_are_excluded():
    names = ["new\nline/a.jpg", "a.jpg\n", "\udce4.jpg", "b\\c.jpg", "\u2028.jpg"]
    assert left("a.jpg", tree=names) == names[1:], "a newline ends no name"
    assert left("*.jpg", tree=names) == ["a.jpg\n"]
    assert left("new\nline", tree=names) == names[1:]


@pytest.mark.parametrize("pattern", ["", " ", "!", "/", "!/", "a[", "[z-a]", "a\\", "[[:alpha:]]"])
def test_what_can_match_nothing_is_refused(pattern):
    with pytest.raises(UsageError, match="is no pattern"):
        Exclusion(["*.jpg", pattern])
