"""Results as a pandas DataFrame: the table that CSV and Parquet hold."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from facetag.errors import UsageError
from facetag.formats.writers.csv import columns
from facetag.formats.writers.parquet import rows
from facetag.results import ImageResult

if TYPE_CHECKING:
    import pandas


def to_dataframe(results: Iterable[ImageResult]) -> "pandas.DataFrame":
    """A row a face and at least one an image, in columns named as in CSV; what is empty there is missing here.

    Attributes are those of the first face; without a tagged face the table has no columns of tags.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError("a DataFrame needs pandas", "pip install 'facetag[pandas]'") from error
    held = list(results)
    tagged = [face.probabilities for result in held for face in result.faces if face.probabilities]
    attributes = tuple(tagged[0]) if tagged else None
    table = [row for result in held for row in rows(result, attributes)]
    return pandas.DataFrame(table, columns=list(columns(attributes)))
