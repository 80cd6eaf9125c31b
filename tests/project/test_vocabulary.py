"""The field's words: names in src are read word by word, through snake_case and CamelCase.

A word of FORMER stands only where ALLOWED says. A name that needs one is better called otherwise.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "facetag"

#: a word that this project once used -> what the field says
FORMER = {
    **dict.fromkeys(("photo", "photos", "picture", "pictures", "photograph", "photographs"), "image"),
    **dict.fromkeys(("look", "looks", "looked"), "pass"),
    **dict.fromkeys(("looker", "lookers", "crew"), "worker, pool"),
    **dict.fromkeys(("hint", "hints"), "trigger"),
    **dict.fromkeys(("lane", "lanes"), "stream"),
    **dict.fromkeys(("zoom", "zooms"), "crop scale"),
    **dict.fromkeys(("middle", "middles"), "center"),
    **dict.fromkeys(("finder", "finders"), "localizer, face source"),
    **dict.fromkeys(("crowd", "crowds"), "detection scenes"),
    **dict.fromkeys(("taught", "lesson", "lessons"), "pseudo-labels, training samples"),
    **dict.fromkeys(("place", "places"), "index, path, position or device, whichever it is"),
    **dict.fromkeys(("share", "shares"), "fraction, weight"),
    **dict.fromkeys(("double", "doubles"), "duplicate; nms"),
    **dict.fromkeys(("sure", "surest", "sureness"), "confidence, highest-scoring"),
    **dict.fromkeys(("side", "sides"), "size, input size, max size"),
    "settled": "cached",
    "basis": "cache key",
    "met": "seen",
    "company": "exclusive section",
    "pulls": "prior weights",
    "even": "equal error",
    "told": "recall, rates",
    "convention": "box calibration",
    "doubtful": "ignore regions",
    "commoner": "majority",
    "unfound": "missed",
    "beside": "next to, sidecar, extra, concurrent",
    **dict.fromkeys(("student", "students"), "center localizer"),
    "kept": "reused",
    "wanted": "targets",
    "words": "options",
}

#: a word, or a whole name, -> modules in which it may stand; "" = in all of them
ALLOWED = {
    "side": ("",),  # of a rectangle, and of a list that is searched
    "basis": ("cli/execute", "runs/journal", "runs/run_report"),  # keys of journals and of run records
    "basis_digest": ("cli/execute", "runs/run_report"),
    "convention": ("cli/commands/eval",),  # the command
    "even": ("training/card",),  # fields of texts
    "share": ("training/card",),
    "photographs": ("training/card",),
    "words": ("datasets/tables",),  # of a line
    "by_words": ("cli/progress",),
    "kept": ("",),  # what stays of several, not an answer that is used again
    "_is_kept": ("images/metadata",),
    "_first_kept": ("cli/commands/diff",),
    "wanted": ("",),  # what somebody asks for, not what a net learns
    "colours_wanted": ("cli/console",),
}


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case.

    LNetSettings has l, net, settings; nms_iou has nms, iou.
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)]


def former(text: str, module: str) -> Iterator[str]:
    """What names in a module's text are not the field's."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            for word in words_of(token.string):
                alone = word == token.string.lower()
                allowed = ALLOWED.get(token.string, ALLOWED.get(word, ()) if alone else ())
                if word in FORMER and "" not in allowed and module not in allowed:
                    yield f"{module}, line {token.start[0]}: {token.string}; say {FORMER[word]}"


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_names_are_the_fields_words(path: Path) -> None:
    module = str(path.relative_to(SRC).with_suffix(""))
    assert list(former(path.read_text(encoding="utf-8"), module)) == []


def test_former_words_are_seen_inside_of_names() -> None:
    assert words_of("LNetSettings") == ["l", "net", "settings"] and words_of("_NMS_IoU2") == ["nms", "io", "u"]
    assert len(list(former("class FinerLook:\n    double_iou = crop_side = 1", "a"))) == 3
    assert list(former("words = side = Outlook", "datasets/tables")) == []
    assert len(list(former("words = 1", "cli/request"))) == 1
