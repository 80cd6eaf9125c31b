"""Documents that a test holds in its hands, back to records by the shipped readers."""

import tempfile
from functools import partial

from facetag.formats.readers import read_records


def read_bytes(name, data):
    """The records of a document of format `name`."""
    with tempfile.NamedTemporaryFile(suffix=f".{name}") as file:
        file.write(data)
        file.flush()
        return list(read_records(file.name))


def read_text(name, text):
    return read_bytes(name, text.encode())


read_csv, read_json, read_jsonl = (partial(read_text, name) for name in ("csv", "json", "jsonl"))
