"""What is installed that may change an answer: a run says it in its record, and machines of a cluster agree on it."""

import platform
from importlib import metadata

from facetag import __version__

#: Packages whose version may change an answer or the time that it takes.
LIBRARIES = ("torch", "numpy", "opencv-python", "pillow", "safetensors")


def versions() -> dict[str, str]:
    """Of facetag, Python and LIBRARIES, as installed; nothing is imported for it."""
    return {
        "facetag": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }
