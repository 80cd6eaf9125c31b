"""Attributes that nets never learned (paper, Fig. 12): every system's SVMs learn them from partition 1.

Their features learned other attributes. FaceTracer has no nets and learns all of it there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.evaluate.competitors import Answers
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.paper_table import draw_table, measure_table, paper_json, paper_tables

#: What studies/left_out.toml leaves out: some of each kind, of the eyes, the mouth, hair, beards, hats and the whole.
LEFT_OUT = (
    "Smiling", "Eyeglasses", "Wearing_Hat", "Blond_Hair", "Bangs", "Goatee", "Bald", "Wearing_Lipstick",
    "Mouth_Slightly_Open", "Male",
)  # fmt: skip


def transfer_figure(
    systems: Sequence[Answers],
    values: NDArray[np.int8],
    identities: NDArray[np.int64],
    fractions: NDArray[np.float64],
    left_out: Sequence[str],
    seed: int = 0,
) -> Figure:
    """The systems on these attributes alone; the last is who the others are held against.

    Shape: values (N, A) in {0, 1}, identities (N,), fractions (A,).
    """
    columns = attribute_indices(left_out)
    names = [ATTRIBUTES[column] for column in columns]
    seen = [
        Answers(each.name, each.probabilities[:, columns], each.present[:, columns], each.images) for each in systems
    ]
    measured = measure_table(seen, values[:, columns], identities, fractions[columns], seed)
    return Figure(
        "transfer",
        "Attributes that the nets never learned (Fig. 12)",
        "LNets+ANet is 8, 10 and 3 points ahead of FaceTracer, PANDA-w and PANDA-l.",
        paper_tables(measured, names, {}),
        lambda: draw_table(measured, names, {}),
        paper_json(measured, names, {}),
    )
