"""`python -m facetag`, which torchrun needs."""

from facetag.cli import main

main()
