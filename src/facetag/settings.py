"""Settings from and to plain data: frozen dataclasses <-> the dicts of TOML and JSON. Unknown keys fail."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import dacite

from facetag.errors import DataError

Settings = TypeVar("Settings")


def settings_from(cls: type[Settings], values: Mapping[str, Any], source: str) -> Settings:
    """The settings dataclass `cls` filled from nested plain data; what is missing keeps its default.

    `source` names the file or section in errors.

    Raises:
        DataError: a key is unknown or a value has the wrong type.
    """
    config = dacite.Config(strict=True, cast=[tuple], type_hooks={float: float})
    try:
        return dacite.from_dict(cls, dict(values), config)
    except (dacite.DaciteError, TypeError, ValueError) as error:
        raise DataError(f"{source}: {error}", "see the settings' documentation for names and types") from error


def plain(settings: Any) -> dict[str, Any]:
    """The settings as nested dicts, tuples as lists, so that JSON gives the same back."""
    return {key: _plain_value(value) for key, value in asdict(settings).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value
