"""Benchmarks and studies are scripts beside the package; their tests import them by name."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("benchmarks", "studies")]
