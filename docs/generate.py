"""Writes the pages of docs/ that the code says itself: every command, also as a man page, and every error with its
remedy.

python docs/generate.py            writes them
python docs/generate.py --check    only says whether they are up to date; tests do the same
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from facetag import __version__, cli, errors

DOCS = Path(__file__).parent
SOURCES = DOCS.parent / "src/facetag"
NOTE = "<!-- Written by `python docs/generate.py`; change the code instead. -->\n\n"

#: Of errors that are about one image and say only what it is; they stand in that image's row.
REMEDIES = {
    "UnreadableImage": "look at it in a viewer and restore it; a changed file is tagged by the same command",
    "ImageTooLarge": "make room in memory, or lower --batch and --workers, then use --retry-failed",
}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FacetagError)]
ERRORS = {kind.__name__: kind for kind in KINDS}


def commands() -> str:
    """Typer's own pages of all commands, their examples as code."""
    command = get_command(cli.app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="facetag"), name="facetag")
    return NOTE + re.sub(r"\n\s*Examples?:\s*((?:\n?[^\n]*facetag [^\n]*)+)\n", _as_code, text).strip() + "\n"


def _as_code(found: re.Match[str]) -> str:
    lines = (line.strip() for line in found[1].splitlines())
    return "\n\n```sh\n" + "\n".join(filter(None, lines)) + "\n```\n"


@dataclass(frozen=True, order=True)
class Error:
    """What one place in the code says; what is filled in when it happens stands in capitals."""

    code: int
    kind: str
    message: str
    remedy: str


def every_error() -> Iterator[Error]:
    """Every error that the code can raise."""
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.rglob("*.py"))]
    for module in modules:
        words = Words(module)
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                kind, said = node.func.id, [words.of(argument) for argument in node.args]
                remedy = said[1] if len(said) > 1 else REMEDIES.get(kind, "")
                yield Error(int(ERRORS[kind].exit_code), kind, said[0], remedy)


def literal_parts() -> Iterator[str]:
    """The longest part that stands word for word in the code, of every error's message and remedy."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                for argument in node.args[:2]:
                    texts = [each.value for each in ast.walk(argument) if isinstance(each, ast.Constant)]
                    yield max((text for text in texts if isinstance(text, str)), key=len, default="")


class Words:
    """What the expressions of a module say, as far as it is known before it happens."""

    def __init__(self, module: ast.Module) -> None:
        given = [(node.targets[0], node.value) for node in ast.walk(module) if isinstance(node, ast.Assign)]
        named = [(target.id, value) for target, value in given if isinstance(target, ast.Name)]
        often = Counter(name for name, _ in named)
        self._constants = {name: value for name, value in named if often[name] == 1}

    def of(self, node: ast.AST) -> str:
        """An expression that is a text."""
        match node:
            case ast.Constant(value):
                return str(value)
            case ast.JoinedStr(values):
                return "".join(map(self.of, values))
            case ast.FormattedValue(value):
                return self.of(value)
            case ast.IfExp(body=body, orelse=orelse):
                return f"{self.of(body)} | {self.of(orelse)}"
            case ast.BoolOp(values=values):
                return " | ".join(dict.fromkeys(map(self.of, values)))
            case ast.Name(name) if isinstance(self._constants.get(name), ast.Constant | ast.JoinedStr):
                return self.of(self._constants[name])
        return placeholder(node)


def placeholder(node: ast.AST) -> str:
    """The last name in an expression, in capitals."""
    match node:
        case ast.Attribute(attr="strerror") | ast.Name("error" | "reason"):
            return "REASON"
        case ast.Attribute(attr=name) | ast.Name(name):
            return name.strip("_").upper()
    called = {id(below.func) for below in ast.walk(node) if isinstance(below, ast.Call)}
    names = [
        below for below in ast.walk(node) if isinstance(below, ast.Name | ast.Attribute) and id(below) not in called
    ]
    return placeholder(names[-1]) if names else "..."


def error_table() -> str:
    """All errors, one row each."""
    rows = [
        "# Errors\n",
        "An error is one line, `facetag: error: MESSAGE; REMEDY`. Words in capitals are filled in, `|` parts cases.",
        "Errors about one image end no run: they stand in the `error` column of its row. What the command line refuses",
        "itself, such as an unknown option, has exit code 2 and names the help to read.\n",
        "| exit code | error | message | remedy |",
        "|---:|---|---|---|",
    ]
    for error in sorted(set(every_error())):
        code = "row" if issubclass(ERRORS[error.kind], errors.ImageError) else str(error.code)
        rows.append(f"| {code} | {error.kind} | {_cell(error.message)} | {_cell(error.remedy)} |")
    return NOTE + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    """As code, in which nothing but the bar is spelled otherwise: who looks for a line that he was told finds it."""
    words, ticks = " ".join(text.split()).replace("|", r"\|"), "``" if "`" in text else "`"
    padding = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{ticks}{padding}{words}{padding}{ticks}" if words else ""


def manual() -> str:
    """The man page: every command with its help and its options."""
    lines = [
        r".\" Written by `python docs/generate.py`; change the code instead.",
        f'.TH FACETAG 1 "" "facetag {__version__}" "User Commands"',
        ".SH NAME",
        r"facetag \- find faces in photographs and tag each with attributes",
        ".SH SYNOPSIS",
        r".B facetag",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGS\fR]...",
        ".SH COMMANDS",
        *_manual_of(get_command(cli.app), "facetag"),
        ".SH EXIT STATUS",
        *(line for code in errors.ExitCode for line in (".TP", f"\\fB{code.value}\\fR", _roff(_EXITS[code.name]))),
        ".SH FILES",
        *(line for name, what in _FILES.items() for line in (".TP", f"\\fI{_roff(name)}\\fR", _roff(what))),
    ]
    return "\n".join(lines) + "\n"


#: The man page's words for exit codes; docs/exit-codes.md has more.
_EXITS = {
    "OK": "All went well; an image without a face is well.",
    "FATAL": "An error ended the command; nothing that was there is lost.",
    "USAGE": "The options do not fit together.",
    "SOME_FAILED": "Some inputs failed, more than --fail-on allows.",
    "LOCKED": "Another run writes this output.",
    "HUNG_UP": "Stopped by SIGHUP.",
    "INTERRUPTED": "Stopped by Ctrl-C.",
    "TERMINATED": "Stopped by SIGTERM.",
}
_FILES = {
    "facetag.toml": "Defaults of options, read from the current folder.",
    "OUT.facetag.sqlite": "What the run at OUT knows, so that the same command goes on.",
    "OUT.run.json": "The record of the run that wrote OUT.",
}


def _manual_of(command: Any, path: str) -> Iterator[str]:
    """The section of a command and those of the commands below it."""
    yield f".SS {_roff(path)}"
    for line in (command.help or "").replace("\b", "").splitlines():
        blank, inner = not line.strip(), line.startswith("  ")
        yield ".PP" if blank else (".br\n" if inner else "") + _roff(line.strip())
    for parameter in command.params:
        yield from _option(parameter)
    for name, below in getattr(command, "commands", {}).items():
        yield from _manual_of(below, f"{path} {name}")


def _option(parameter: Any) -> Iterator[str]:
    record = parameter.get_help_record(typer.Context(get_command(cli.app), info_name="facetag"))
    if record:
        yield from (".TP", f"\\fB{_roff(record[0])}\\fR", _roff(" ".join(record[1].split()) or "See above."))


def _roff(text: str) -> str:
    """Text as troff sets it: no letter of it is a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


PAGES = {"commands.md": commands, "errors.md": error_table, "facetag.1": manual}


def main() -> int:
    """0 when the pages are up to date, or have been written."""
    stale = [name for name, page in PAGES.items() if not _is_written(DOCS / name, page())]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/{name} is not up to date; run python docs/generate.py", file=sys.stderr)
        return bool(stale)
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def _is_written(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
