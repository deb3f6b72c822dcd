"""Write the reference from the code: `python docs/reference.py` (`--check` only says what is stale).

Commands and their options come from the command line's own tree, settings from their model, columns from the schema, the
feature declarations and the glossary. Nothing in `docs/reference/` is written by hand.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from typer.main import get_command

from toytip import errors, glossary
from toytip.cli import app, keys, options
from toytip.config import Settings
from toytip.errors import ConfigError
from toytip.schema import FIELDS, MONITORS, PREDICTIONS, PROFILES, REJECTS, SCORES, TRIPS
from toytip.stages import clean, featurize, rates

HERE = Path(__file__).parent / "reference"
MADE = "<!-- Made from the code by docs/reference.py: change it there, then `make reference`. -->"
PANELS = (options.READ, options.STORE, options.WORK, options.LEARN)
TABLES = (TRIPS, REJECTS, featurize.TABLE, PROFILES, SCORES, PREDICTIONS, MONITORS)
API = "toytip.api"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(value: object) -> str:
    """Return a value as code; nothing for none."""
    return "" if value is None or value == "" else f"`{value}`"


def page(title: str, *pieces: str) -> str:
    """Return a page."""
    return "\n\n".join((MADE, f"# {title}", *(piece.strip() for piece in pieces if piece.strip()))) + "\n"


# Commands


def commands(tree: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its name, in the order of the help."""
    for word, command in (tree or get_command(app)).commands.items():
        full = f"{name} {word}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, full)
        else:
            yield full, command


def is_common(parameter: Any) -> bool:
    """Tell whether many commands take the option: its panel says so."""
    return getattr(parameter, "rich_help_panel", None) in PANELS


def parted(parameter: Any) -> tuple[str, str]:
    """Return an option's meaning and its default, which its help names where the parser does not know it."""
    said = parameter.help or ""
    found = re.fullmatch(r"(.*?)\s*\[default: (.*)\]", said)
    if found:
        return found[1], found[2]
    default = None if parameter.default in (None, False, ...) or parameter.required else parameter.default
    return said, "" if default is None else str(default)


def _kind(name: str, parameter: Any) -> str:
    return f"{name} {parameter.metavar or 'VALUE'}" if not parameter.is_flag else name


def _row(parameter: Any) -> list[str]:
    said, default = parted(parameter)
    if parameter.param_type_name == "argument":
        return [code(parameter.metavar or parameter.name.upper()), default or "required", said]
    return [code(_kind(parameter.opts[0], parameter)), default, said]


def common() -> dict[str, dict[str, Any]]:
    """Return the options that many commands take, by panel and name."""
    found: dict[str, dict[str, Any]] = {panel: {} for panel in PANELS}
    for _, command in commands():
        for parameter in filter(is_common, command.params):
            found[parameter.rich_help_panel].setdefault(parameter.opts[0], parameter)
    return found


def examples(command: Any) -> list[str]:
    """Return the lines of a command's example."""
    return str(command.epilog).removeprefix("Example:").strip().split(" && ")


def of_command(name: str, command: Any) -> str:
    """Return what is to be said of a command."""
    own = [p for p in command.params if not is_common(p) and p.name not in ("json_", "debug", "help")]
    shared = [p.opts[0] for p in command.params if is_common(p)]
    pieces = [
        f"## toytip {name}",
        command.help.strip(),
        "\n".join(f"    {line}" for line in examples(command)),
        table(("argument or option", "default", "meaning"), map(_row, own)) if own else "",
    ]
    if shared:
        listed = ", ".join(f"`{option}`" for option in shared)
        pieces.append(f"[Common options](#common-options): {listed}.")
    if name in keys.KEYS:
        anchor = f"toytip {name}".replace(" ", "-")
        pieces.append(f"`--json`: [its keys](json.md#{anchor}).")
    return "\n\n".join(piece for piece in pieces if piece)


def commands_page() -> str:
    """Return the page of all commands."""
    listed = [
        [f"[`toytip {name}`](#{f'toytip {name}'.replace(' ', '-')})", command.help.strip().splitlines()[0]]
        for name, command in commands()
    ]
    shared = [
        f"**{panel}**\n\n" + table(("option", "default", "meaning"), map(_row, found.values()))
        for panel, found in common().items()
    ]
    return page(
        "Commands",
        "`toytip COMMAND --help` says the same. Every option that is a setting can stand in the environment or in a file as "
        "well: [settings](settings.md). Every command takes `--debug`, which shows the traceback of an error.",
        table(("command", "what it does"), listed),
        *(of_command(name, command) for name, command in commands()),
        "## Common options",
        "Options that many commands take; which, is said of each.",
        *shared,
    )


# Settings


def bounds(field: FieldInfo) -> str:
    """Return what a value has to be like, in words."""
    signs = {"ge": "at least", "gt": "more than", "le": "at most"}
    found = [
        f"{word} {getattr(each, sign):g}"
        for sign, word in signs.items()
        for each in field.metadata
        if getattr(each, sign, None) is not None
    ]
    return ", ".join(found)


def flags() -> dict[str, str]:
    """Return the option that sets each setting, where commands call it by its name."""
    return {
        p.name: p.opts[0]
        for _, command in commands()
        for p in command.params
        if p.name in Settings.model_fields
    }


def setting(name: str, field: FieldInfo) -> list[str]:
    """Return the row of a setting. Raises ConfigError where it says nothing of itself."""
    if not field.description:
        raise ConfigError(f"setting {name} has no description: give it one in toytip/config.py")
    limits = bounds(field)
    default = field.get_default(call_default_factory=True)
    said = field.description + (f" ({limits})" if limits else "")
    return [
        code(name),
        code(f"TOYTIP_{name.upper()}"),
        code(flags().get(name)),
        code("" if default == {} else default),
        said,
    ]


def settings_page() -> str:
    """Return the page of all settings."""
    return page(
        "Settings",
        "Flags go before `TOYTIP_*` variables, these before `.env`, that before `toytip.toml`, and that before the defaults; a file of "
        "parameters (`--params`) stands behind flags and before the environment. `toytip config` prints what they come to. "
        "In `toytip.toml` a setting stands under its name ([an example](../operations.md#settings)).",
        table(
            ("setting", "variable", "flag", "default", "meaning"),
            (setting(name, field) for name, field in Settings.model_fields.items()),
        ),
    )


# Tables


def _moment(name: str) -> str:
    found = {item.name: item.moment for item in featurize.FEATURES}
    return found.get(name) or glossary.COLUMNS[name].moment


def of_table(found: Any) -> str:
    """Return what is to be said of a table."""
    rows = []
    for column in found.columns:
        meaning = glossary.meaning(found.name, column.name)
        kinds = (
            code(column.dtype) if str(column.arrow) == column.dtype else f"`{column.dtype}`, `{column.arrow}`"
        )
        moment = "" if (found.name, column.name) in glossary.COLUMNS_OF else _moment(column.name)
        rows.append([code(column.name), kinds, meaning.unit, moment, meaning.text])
    head = ("column", "type in pandas, in parquet", "unit", "known at", "meaning")
    return f"## {found.name}\n\nA row: {glossary.TABLES[found.name]}\n\n" + table(head, rows)


def _sets() -> str:
    known = [(item.name, item.moment) for item in featurize.FEATURES]
    known += [(rate.name, rate.moment) for rate in rates.RATES]
    order = list(featurize.MOMENTS)
    rows = []
    for name, moment in known:
        needs = rates.BY_NAME[name].needs if name in rates.BY_NAME else ()
        seed = set(needs) <= set(featurize.SEED) if needs else name in featurize.SEED
        inside = [seed, *(order.index(moment) <= order.index(each) for each in order)]
        rows.append([code(name), moment, *("yes" if there else "" for there in inside)])
    return table(("feature", "known at", "`seed`", *(code(each) for each in order)), rows)


def _source() -> str:
    rows = [
        [
            code(field.name),
            ", ".join(map(code, field.aliases)) or "the same",
            "always" if field.required else "in some years, or of one taxi",
        ]
        for field in FIELDS
    ]
    return table(("column of `trips`", "in the TLC's files", "there"), rows)


def tables_page() -> str:
    """Return the page of all columns."""
    moments = "\n".join(f"- `{name}`: {said}" for name, said in glossary.MOMENTS.items())
    return page(
        "Tables and columns",
        "Where a whole number may be missing it is a float in pandas and an integer in parquet. What a version is, and how to read "
        "one: [the store](../store.md). *Known at* is the moment of a trip from which on a column can be known:",
        moments,
        "Every table has the columns of its folders besides:",
        table(("column", "meaning"), ([code(name), said.text] for name, said in glossary.PARTITIONS.items())),
        *map(of_table, TABLES),
        "## The sets of features",
        "What a model learns from, by `--features`. Rates by zone are no columns of `features`: they depend on the training months, and are "
        "worked out when the model is trained ([why](../evaluation.md#features-worth-having)).",
        _sets(),
        "## The reasons of rejects",
        "The first that applies, in this order.",
        table(
            ("reason", "of the trip"),
            ([code(rule.__name__), inspect.getdoc(rule) or ""] for rule in clean.RULES),
        ),
        "## The columns of the source",
        "Upper and lower case do not matter.",
        _source(),
    )


# What is told


def json_page() -> str:
    """Return the page of the keys that programs read."""
    told = [
        f"## toytip {name}\n\n"
        + table(("key", "meaning"), ([code(key), said] for key, said in found.items()))
        for name, found in keys.KEYS.items()
    ]
    return page(
        "JSON keys",
        "With `--json` a command prints one object, on one line of stdout, and nothing else goes there. `toytip config --json` has "
        "[every setting](settings.md) as a key; the metrics are [here](metrics.md).",
        *told,
    )


def metrics_page() -> str:
    """Return the page of the metrics."""
    return page(
        "Metrics",
        "Under `metrics` in `--json`, in the manifest of `predictions` and in the registry. How to read them: "
        "[evaluation](../evaluation.md).",
        table(
            ("metric", "unit", "meaning"),
            ([code(name), said.unit, said.text] for name, said in glossary.METRICS.items()),
        ),
    )


def errors_page() -> str:
    """Return the page of exit codes and errors."""
    kinds = [each for each in vars(errors).values() if inspect.isclass(each)]
    return page(
        "Exit codes and errors",
        table(("exit code", "meaning"), ([code(number), said] for number, said in keys.EXITS.items())),
        "All of toytip's own errors are kinds of `ToytipError`, with a message of one line; what to do about the usual ones is in "
        "[operations](../operations.md#when-something-goes-wrong).",
        table(("error", "of what"), ([code(kind.__name__), inspect.getdoc(kind) or ""] for kind in kinds)),
    )


# The Python API


def _public() -> list[Any]:
    module = importlib.import_module("toytip")
    return [getattr(module, name) for name in module.__all__ if not name.startswith("_")]


def _signature(name: str, what: Any) -> str:
    try:
        return f"{name}{inspect.signature(what)}"
    except (TypeError, ValueError):
        return name


def _members(what: Any) -> Iterator[tuple[str, Any]]:
    for name, member in vars(what).items():
        inner = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(inner) and inner.__doc__:
            yield name, member


def of_object(what: Any) -> str:
    """Return what is to be said of a function or a class that can be imported from `toytip`."""
    name = what.__name__
    pieces = [f"## {name}", f"```python\n{_signature(name, what)}\n```", inspect.getdoc(what) or ""]
    for inner, member in _members(what) if inspect.isclass(what) else ():
        plain = getattr(member, "__func__", member)
        shown = inner if isinstance(member, property) else _signature(inner, plain)
        pieces += [f"### {name}.{inner}", f"```python\n{shown}\n```", inspect.getdoc(member) or ""]
    return "\n\n".join(pieces)


def python_page() -> str:
    """Return the page of what can be imported from `toytip`."""
    return page(
        "Python",
        "What `import toytip` gives. Its docstrings are this page.",
        *(of_object(each) for each in _public() if callable(each)),
    )


@functools.cache
def pages() -> dict[str, str]:
    """Return all pages by name."""
    made = {
        "commands": commands_page(), "settings": settings_page(), "tables": tables_page(), "json": json_page(),
        "metrics": metrics_page(), "errors": errors_page(),
    }  # fmt: skip
    return made | ({"python": python_page()} if importlib.util.find_spec(API) else {})


def stale(folder: Path = HERE) -> list[str]:
    """Return the pages that are not what the code says."""
    made = pages()
    there = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in {*made, *there} if made.get(name) != there.get(name))


def main() -> None:
    """Write the pages, or only name those that are stale."""
    old = stale()
    if "--check" in sys.argv:
        sys.exit(f"docs/reference: {', '.join(old)}: not what the code says; `make reference`" if old else 0)
    HERE.mkdir(exist_ok=True)
    for name in old:
        (HERE / f"{name}.md").unlink(missing_ok=True)
    for name, text in pages().items():
        (HERE / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
