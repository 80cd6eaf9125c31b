"""The forty attributes of CelebA (paper, section 5 and Table 1): names, order and groups.

An attribute is an appearance as annotators labelled it, not a fact about a person.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from facetag.errors import UsageError

#: The order of `list_attr_celeba.txt`; every array of attributes in facetag has it.
ATTRIBUTES: tuple[str, ...] = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald",
    "Bangs", "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair",
    "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin",
    "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones",
    "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings",
    "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip

#: Each attribute is in exactly one group.
GROUPS: dict[str, tuple[str, ...]] = {
    "hair": (
        "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair",
        "Receding_Hairline", "Straight_Hair", "Wavy_Hair",
    ),
    "facial_hair": ("5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard", "Sideburns"),
    "accessories": (
        "Eyeglasses", "Wearing_Earrings", "Wearing_Hat", "Wearing_Necklace", "Wearing_Necktie",
    ),
    "makeup": ("Heavy_Makeup", "Wearing_Lipstick"),
    "expression": ("Mouth_Slightly_Open", "Smiling"),
    "shape": (
        "Arched_Eyebrows", "Bags_Under_Eyes", "Big_Lips", "Big_Nose", "Bushy_Eyebrows",
        "High_Cheekbones", "Narrow_Eyes", "Oval_Face", "Pointy_Nose",
    ),
    "skin": ("Pale_Skin", "Rosy_Cheeks"),
    "demographic": ("Male", "Young"),
    "judgement": ("Attractive", "Chubby", "Double_Chin"),
    "picture": ("Blurry",),
}  # fmt: skip


def attribute_indices(
    names: Iterable[str],
    attributes: Sequence[str] = ATTRIBUTES,
    groups: Mapping[str, Sequence[str]] = GROUPS,
) -> list[int]:
    """Indices into `attributes` of the named attributes and groups, in any case, sorted, each once.

    >>> [ATTRIBUTES[index] for index in attribute_indices(["smiling", "MAKEUP"])]
    ['Heavy_Makeup', 'Smiling', 'Wearing_Lipstick']

    Raises:
        UsageError: a name is neither an attribute nor a group; says the nearest that is.
    """
    known: dict[str, Sequence[str]] = {name.lower(): (name,) for name in attributes}
    known |= {name.lower(): members for name, members in groups.items()}
    spelled = {name.lower(): name for name in (*attributes, *groups)}
    found: set[int] = set()
    for name in names:
        if name.lower() not in known:
            (near,) = get_close_matches(name.lower(), spelled, 1, cutoff=0)
            raise UsageError(f"no attribute or group is called {name!r}", f"did you mean {spelled[near]}?")
        found |= {attributes.index(member) for member in known[name.lower()]}
    return sorted(found)


def is_attribute_name(text: str) -> bool:
    """Whether it can be told from others on the command line and in a list of tags.

    >>> is_attribute_name("Wearing_Hat"), is_attribute_name("Hat;Cap")
    (True, False)
    """
    return text.isprintable() and text == text.strip() != "" and not set(text) & set(",;=")
