"""Settings from and to plain data: frozen dataclasses <-> the dicts of TOML and JSON. Unknown keys fail."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import dacite

from facetag.errors import DataError

Settings = TypeVar("Settings")

#: What settings were called in model.json of format 1 and in recipes of its time -> what they are called now.
OLD_KEYS = {
    "sides": "input_sizes",
    "side": "input_size",
    "crop_side": "crop_size",
    "read_side": "read_size",
    "zooms": "crop_scales",
    "close_side": "close_size",
    "small_side": "small_size",
    "double_iou": "nms_iou",
    "double_containment": "nms_containment",
    "head_score": "head_region_score",
    "head_iou": "head_region_iou",
    "finer": "finer_sizes",
    "hints": "triggers",
    "close_hint": "close_logit",
    "pulls": "prior_weights",
    "even": "equal_error",
    "finder": "localizer_kind",
}
#: The same for names that mean something else in other tables: table -> old -> new.
OLD_KEYS_OF = {
    "localizer": {"heads": "head_regions", "head": "head_region"},
    "anet_attributes": {"heads": "head_regions", "photographs": "labeled_images"},
    "svm": {"photographs": "labeled_images"},
}


def with_new_keys(values: Any, table: str = "") -> Any:
    """Plain data of settings with every key called as it is now, whatever it was called when it was written.

    >>> with_new_keys({"localizer": {"sides": [99], "heads": 3}, "scenes": {"heads": [0.5, 0.5]}})
    {'localizer': {'input_sizes': [99], 'head_regions': 3}, 'scenes': {'heads': [0.5, 0.5]}}
    """
    if isinstance(values, Mapping):
        names = {**OLD_KEYS, **OLD_KEYS_OF.get(table, {})}
        return {names.get(key, key): with_new_keys(item, key) for key, item in values.items()}
    if isinstance(values, list):
        return [with_new_keys(item, table) for item in values]
    return values


def settings_from(cls: type[Settings], values: Mapping[str, Any], source: str) -> Settings:
    """The settings dataclass `cls` filled from nested plain data; what is missing keeps its default.

    A whole number may stand for a fraction and a list for a tuple; nothing else is converted.
    `source` names the file or section in errors.

    Raises:
        DataError: a key is unknown or a value has the wrong type.
    """
    try:
        return dacite.from_dict(cls, _with_tuples(dict(values)), dacite.Config(strict=True, type_hooks=_HOOKS))
    except (dacite.DaciteError, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{source}: {reason}", "see the settings' documentation for names and types") from error


def _with_tuples(value: Any) -> Any:
    """Lists of tables as tuples of them, for which dacite has no hook."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return tuple(map(_with_tuples, value))
    return value


def _converts(target: type[Any], *sources: type) -> Callable[[Any], Any]:
    """A hook that takes these very types alone: True is no number, and a string is no list of its letters."""

    def hook(value: Any) -> Any:
        if type(value) not in sources:
            raise dacite.WrongTypeError(target, value)
        return target(value)

    return hook


_HOOKS: dict[Any, Callable[[Any], Any]] = {
    int: _converts(int, int),
    float: _converts(float, int, float),
    tuple[int, ...]: _converts(tuple, list, tuple),
    tuple[float, ...]: _converts(tuple, list, tuple),
    tuple[str, ...]: _converts(tuple, list, tuple),
}


def plain(settings: Any) -> dict[str, Any]:
    """The settings as nested dicts, tuples as lists, so that JSON gives the same back."""
    return {key: _plain_value(value) for key, value in asdict(settings).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value
