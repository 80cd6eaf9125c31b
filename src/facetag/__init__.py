"""facetag: find faces and forty attributes in photographs ("Deep Learning Face Attributes in the Wild").

    tagger = facetag.FaceTagger("fast", attributes=["Smiling", "hair"])
    image = tagger("party.jpg")
    for face in image.faces:
        print(face.box, face.tags, face.probabilities["Smiling"])

Importing it loads nothing; what is used is loaded then.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facetag.attributes import ATTRIBUTES as ATTRIBUTES
    from facetag.formats.dataframe import to_dataframe as to_dataframe
    from facetag.formats.readers import read_results as read_results
    from facetag.predictor import FaceTagger as FaceTagger
    from facetag.results import FaceResult as FaceResult
    from facetag.results import ImageResult as ImageResult

__version__ = "0.1.0"
__all__ = ["ATTRIBUTES", "FaceResult", "FaceTagger", "ImageResult", "__version__", "read_results", "to_dataframe"]

_MODULES = {
    "ATTRIBUTES": "facetag.attributes",
    "FaceResult": "facetag.results",
    "FaceTagger": "facetag.predictor",
    "ImageResult": "facetag.results",
    "read_results": "facetag.formats.readers",
    "to_dataframe": "facetag.formats.dataframe",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'facetag' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
