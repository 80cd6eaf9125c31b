"""Where options come from besides the command line: FACETAG_* variables, then the file of `--config`, or else the
facetag.toml of the current folder, then the user's own configuration, then the defaults.

typer reads both itself: the variables by their prefix (FACETAG_PREDICT_MIN_FACE is `facetag predict --min-face`), the
file as its default map. Here the file is found and looked through, so that a misspelt word is an error, no silence.

    log-format = "json"         # options before the command

    [predict]                   # options of a command, named as on the command line
    attributes = ["Smiling", "hair"]
    min-face = 40

    [eval.speed]                # a command in a command
    repeats = 3

A facetag.toml that merely lies in the current folder may come from a stranger, with the photographs. So it sets only
what is HARMLESS: neither what is written nor what is read or loaded.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from facetag.cli.console import detail, say, warn
from facetag.cli.session import Session
from facetag.errors import UsageError

FILE = "facetag.toml"  #: read when it lies in the current folder
OWN = "facetag/config.toml"  #: the user's own, in the folder of configurations
PREFIX = "FACETAG"  #: of environment variables
_MOST = 1 << 20  #: bytes of a file that are read, for a stranger's may have any size

#: Options that FILE may set although nobody named it. A new option is not among them until it is written here.
HARMLESS = frozenset({
    "aligned", "anet-images", "attributes", "batch", "count", "debug", "exclude", "exclude-attributes", "ext",
    "faces", "fail-on", "groups", "half", "hidden", "left-out", "lfwa-plus", "limit", "lock-wait", "log-format",
    "max-pixels", "min-face", "mode", "no-recursive", "no-thumbnails", "null", "panda-w-images", "partition",
    "precision", "print0", "quiet", "rehash", "repeats", "retry-failed", "seed", "shard", "size", "status",
    "strict", "system", "tag", "threshold", "training-images", "unsure", "verbose", "without", "workers",
})  # fmt: skip

_TRAINING = ("pretrain", "finetune")  #: commands of which FILE sets nothing unless it is named


def load_config(context: typer.Context, named: Path | None) -> Path | None:
    """Make the file's options the defaults of every command; the callback of `--config`.

    Args:
        named: None reads facetag.toml of the current folder, if there is one.

    Raises:
        UsageError: the file cannot be read, is not TOML, or says what no command understands.
    """
    if context.resilient_parsing:  # somebody completes a word
        return named
    read = {file: read_toml(file) for file in _files(named)}
    found = [defaults(context.command, values, str(file)) for file, values in read.items()]
    if not named and Path(FILE) in read:
        refuse_harmful(context.command, read[Path(FILE)], FILE)
    context.default_map = merged(found)
    kept = context.ensure_object(Session).kept
    for file, values in read.items():
        kept.append((say, f"options from {file}", {"config": str(file)}))
        kept.append((detail, f"{file} sets {', '.join(_keys(values)) or 'nothing'}", {}))
    for name in unknown_variables(context.command, os.environ):
        meant = nearest_variable(name, list(variables(context.command)))
        kept.append((warn, f"the variable {name} is of no option; did you mean {meant}?", {}))
    return named


def _files(named: Path | None) -> Iterator[Path]:
    """What is read, the weakest first."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    own = Path(folder if os.path.isabs(folder) else os.path.expanduser("~/.config"), OWN)
    if own.is_absolute() and _is_there(own):
        yield own
    if named or _is_there(Path(FILE)):
        yield named or Path(FILE)


def _is_there(file: Path) -> bool:
    """Whether a file that nobody named is there. In a folder that is closed to the user it is none of theirs: `sudo -u`
    and containers leave HOME and the current folder as they were."""
    try:
        return file.is_file()
    except PermissionError:
        return False


def refuse_harmful(command: Any, values: Mapping[str, Any], where: str, commands: tuple[str, ...] = ()) -> None:
    """See that a file that nobody named sets nothing but what is harmless.

    Args:
        commands: above this one, from the outermost.

    Raises:
        UsageError: it does.
    """
    below = getattr(command, "commands", {})
    for key, value in values.items():
        if key in below:
            refuse_harmful(below[key], value, f"{where} [{key}]", (*commands, key))
        elif key.replace("_", "-") not in HARMLESS or commands[:1] in {(name,) for name in _TRAINING}:
            raise UsageError(
                f"{where}: {key!r} says what is written, read or loaded, in a file that you did not name",
                f"if you trust it, use --config {FILE}",
            )


def merged(maps: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Default maps as one; later ones win, option by option."""
    result: dict[str, Any] = {}
    for values in maps:
        for key, value in values.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged((result[key], value)) if both else value
    return result


def _keys(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The options that a file sets: `predict.min-face`."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def read_toml(file: Path) -> dict[str, Any]:
    """The file as plain data.

    Raises:
        UsageError: it cannot be read, is too large or is not TOML.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST + 1)
        if len(data) > _MOST:
            raise UsageError(f"{file} is larger than {_MOST} bytes", "see docs/configuration.md for its form")
        return tomllib.loads(data.decode("utf-8-sig"))  # editors of Windows write a mark
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", "check the path and its permissions") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{file} is not TOML: {reason}", "see docs/configuration.md for its form") from error


def defaults(command: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A command's default map of what the file says about it: options by typer's names, commands as maps.

    Args:
        command: of typer's tree.
        where: what errors call this part of the file.

    Raises:
        UsageError: there is no such option or command, or a value is no word, number, truth or list of them.
    """
    options, commands = options_of(command), getattr(command, "commands", {})
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in commands:
            if not isinstance(value, Mapping):
                raise UsageError(f"{where}: {key!r} is a command", f"write its options below a line [{key}]")
            found[key] = defaults(commands[key], value, f"{where} [{key}]")
        elif key.replace("_", "-") in options:
            option = options[key.replace("_", "-")]
            found[option.name] = _value(value, option.multiple, f"{where}: {key}")
        else:
            near = _nearest(key, [*options, *commands])
            raise UsageError(f"{where}: there is no {key!r}", f"did you mean {near}? docs/commands.md has all")
    return found


def options_of(command: Any) -> dict[str, Any]:
    """A command's options by their long names without dashes; those that ask and end (--help, --version) left out."""
    options = (parameter for parameter in command.params if parameter.param_type_name == "option")
    return {_long_name(option): option for option in options if not option.is_eager}


def every_option(command: Any) -> Iterator[Any]:
    """The options of a command and of those below it."""
    yield from (parameter for parameter in command.params if parameter.param_type_name == "option")
    for below in getattr(command, "commands", {}).values():
        yield from every_option(below)


def variables(command: Any, prefix: str = PREFIX) -> Iterator[str]:
    """The environment variables that a command and those below it read."""
    options = (parameter for parameter in command.params if parameter.param_type_name == "option")
    yield from (f"{prefix}_{option.name.upper()}" for option in options if option.allow_from_autoenv)
    for name, below in getattr(command, "commands", {}).items():
        yield from variables(below, f"{prefix}_{name.upper().replace('-', '_')}")


def unknown_variables(command: Any, environment: Iterable[str]) -> list[str]:
    """Variables that begin like ours and that nothing reads."""
    known = set(variables(command))
    return [name for name in sorted(environment) if name.startswith(f"{PREFIX}_") and name not in known]


def nearest_variable(name: str, known: Sequence[str]) -> str:
    """The variable that was meant: of the first command that has such an option, where the command was left out."""
    ends = [variable for variable in known if variable.endswith(name.removeprefix(PREFIX))]
    if ends:
        return ends[0]
    short = {f"{PREFIX}_{each.split('_', 2)[-1]}": each for each in reversed(known)}
    meant = _nearest(name, [*known, *short])
    return meant if meant in known else short.get(meant, meant)


def _long_name(option: Any) -> str:
    names: list[str] = sorted(option.opts, key=len)
    return names[-1].lstrip("-")


def _value(value: Any, several: bool, where: str) -> Any:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float) for item in items) or (isinstance(value, list) and not several):
        raise UsageError(f"{where} is a {type(value).__name__}", "write it as on the command line")
    return [str(item) for item in items] if several else value


def _nearest(word: str, known: Iterable[str]) -> str:
    """What was meant, most likely."""
    return next(iter(get_close_matches(word, list(known), 1, cutoff=0)), "something else")
