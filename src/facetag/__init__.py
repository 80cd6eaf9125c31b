"""facetag: find faces and forty attributes in photographs ("Deep Learning Face Attributes in the Wild")."""

__version__ = "0.1.0"
