"""The measured section of CARD.md."""

import pytest

from facetag.errors import ModelError
from facetag.evaluate.card import markdown, with_measurements
from facetag.evaluate.report import Table

TABLE = Table("two pictures", ("attribute", "accuracy"), [("Smiling", "91.0"), ("mean", "91.0")])


def test_a_table_in_markdown() -> None:
    assert markdown(TABLE) == (
        "two pictures.\n\n| attribute | accuracy |\n| --- | ---: |\n| Smiling | 91.0 |\n| mean | 91.0 |"
    )


def test_only_the_measured_section_changes() -> None:
    card = "# Card\n<!-- measured -->\nold\n<!-- /measured -->\n## Limits\n"
    once = with_measurements(card, "facetag eval", [TABLE])
    assert once.startswith("# Card\n<!-- measured -->\n## Accuracy\n\nBy `facetag eval`.\n\ntwo pictures.")
    assert once.endswith("| mean | 91.0 |\n<!-- /measured -->\n## Limits\n")
    assert "old" not in once
    assert with_measurements(once, "facetag eval", [TABLE]) == once


@pytest.mark.parametrize("card", ["# Card\n", "<!-- measured -->\n", "<!-- /measured -->\n"])
def test_a_card_without_the_section_is_refused(card: str) -> None:
    with pytest.raises(ModelError, match="no measured section"):
        with_measurements(card, "facetag eval", [TABLE])
