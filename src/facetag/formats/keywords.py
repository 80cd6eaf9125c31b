"""Tags as photo managers file them."""

from facetag.results import ImageResult

ROOT = "facetag"  #: above the attributes where keywords have levels


def keyword(attribute: str) -> str:
    """An attribute as people write it.

    >>> keyword("Wearing_Hat")
    'Wearing Hat'
    """
    return attribute.replace("_", " ")


def keywords_of(record: ImageResult) -> list[str]:
    """What is present in any face of an image, in the order of the attributes."""
    tags = {tag for face in record.faces for tag in face.tags}
    order = [name for face in record.faces[:1] for name in face.probabilities]
    return [keyword(name) for name in order if name in tags] + sorted(keyword(tag) for tag in tags.difference(order))
