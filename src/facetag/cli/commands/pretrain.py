"""`facetag pretrain lnet|anet` (paper, section 4)."""

from facetag.cli.app import App
from facetag.cli.commands.stages import add_stage

_HELP = """Pre-train LNet+ on object categories, ANet on identities.

\b
Examples:
  facetag pretrain lnet --data data --run runs/faithful --max-time 20m
  facetag pretrain anet --data data --run runs/faithful
"""

app = App(no_args_is_help=True, help=_HELP)

add_stage(
    app,
    "lnet",
    "facetag.training.pretrain:pretrain_lnet",
    """Pre-train LNet+ on object categories (DATA/objects).

    Example: facetag pretrain lnet --data data --run runs/faithful --max-time 20m""",
)
add_stage(
    app,
    "anet",
    "facetag.training.pretrain:pretrain_anet",
    """Pre-train ANet on the training identities of CelebA (DATA/celeba).

    Example: facetag pretrain anet --data data --run runs/faithful

    Several processes: torchrun --nproc-per-node 2 -m facetag pretrain anet""",
)
