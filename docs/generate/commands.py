"""Generate the pages of commands and settings from the command tree and the settings model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from typer.main import get_command

from docs.generate.markdown import code, page, table
from toytip.cli import app, json_keys, options
from toytip.config import Settings
from toytip.errors import ConfigError

PANELS = (options.SOURCE_PANEL, options.STORE_PANEL, options.WORKERS_PANEL, options.LEARNING_PANEL)


def commands(tree: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each command with its full name, in the order of the help."""
    for word, command in (tree or get_command(app)).commands.items():
        full = f"{name} {word}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, full)
        else:
            yield full, command


def is_common(parameter: Any) -> bool:
    """Return whether the option is in a panel that commands share."""
    return getattr(parameter, "rich_help_panel", None) in PANELS


def parted(parameter: Any) -> tuple[str, str]:
    """Return the help text and the default of an option. The help can name a default that the parser lacks."""
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
    """Return the shared options by panel and name."""
    found: dict[str, dict[str, Any]] = {panel: {} for panel in PANELS}
    for _, command in commands():
        for parameter in filter(is_common, command.params):
            found[parameter.rich_help_panel].setdefault(parameter.opts[0], parameter)
    return found


def examples(command: Any) -> list[str]:
    """Return the lines of a command's example."""
    return str(command.epilog).removeprefix("Example:").strip().split(" && ")


def of_command(name: str, command: Any) -> str:
    """Return the section of a command."""
    own = [p for p in command.params if not is_common(p) and p.name not in ("json_", "debug", "help")]
    shared = [p.opts[0] for p in command.params if is_common(p)]
    pieces = [
        f"## toytip {name}",
        command.help.strip(),
        "```sh\n" + "\n".join(examples(command)) + "\n```",
        table(("Argument or option", "Default", "Meaning"), map(_row, own)) if own else "",
    ]
    if shared:
        listed = ", ".join(f"`{option}`" for option in shared)
        pieces.append(f"[Common options](#common-options): {listed}.")
    if name in json_keys.JSON_KEYS:
        anchor = f"toytip {name}".replace(" ", "-")
        pieces.append(f"`--json` prints [these keys](json.md#{anchor}).")
    return "\n\n".join(piece for piece in pieces if piece)


def commands_page() -> str:
    """Return the page of commands."""
    listed = [
        [f"[`toytip {name}`](#{f'toytip {name}'.replace(' ', '-')})", command.help.strip().splitlines()[0]]
        for name, command in commands()
    ]
    shared = [
        f"**{panel}**\n\n" + table(("Option", "Default", "Meaning"), map(_row, found.values()))
        for panel, found in common().items()
    ]
    return page(
        "Commands",
        "`toytip COMMAND --help` prints the same information. You can also set many options in the environment or in a file "
        "([settings](settings.md)). Every command has `--debug`, which shows the traceback of an error.",
        table(("Command", "Description"), listed),
        *(of_command(name, command) for name, command in commands()),
        "## Common options",
        "Several commands share these options. The section of each command lists its common options.",
        *shared,
    )


def bounds(field: FieldInfo) -> str:
    """Return the allowed range of a value as text."""
    signs = {"ge": "at least", "gt": "more than", "le": "at most"}
    found = [
        f"{word} {getattr(each, sign):g}"
        for sign, word in signs.items()
        for each in field.metadata
        if getattr(each, sign, None) is not None
    ]
    return ", ".join(found)


def flags() -> dict[str, str]:
    """Return the option of each setting that has one."""
    return {
        p.name: p.opts[0]
        for _, command in commands()
        for p in command.params
        if p.name in Settings.model_fields and p.param_type_name == "option"
    }


def setting(name: str, field: FieldInfo) -> list[str]:
    """Return the table row of a setting. Raises ConfigError if the setting has no description."""
    if not field.description:
        raise ConfigError(f"setting {name} has no description: give it one in toytip/config.py")
    limits = bounds(field)
    default = field.get_default(call_default_factory=True)
    said = field.description + (f" ({limits})" if limits else "")
    ways = (name, flags().get(name), f"TOYTIP_{name.upper()}")
    return ["<br>".join(code(way) for way in ways if way), code("" if default == {} else default), said]


def settings_page() -> str:
    """Return the page of settings."""
    return page(
        "Settings",
        "toytip resolves settings in this order. The first match applies:",
        "1. command-line options\n2. the file named by `--params`\n3. `TOYTIP_*` environment variables\n4. `.env`\n"
        "5. `toytip.toml`\n6. defaults",
        "`toytip config` prints the resolved settings. In `toytip.toml`, use the name of the setting as the key "
        "([example](../how-to/configure.md)).",
        table(
            ("Setting, option, variable", "Default", "Meaning"),
            (setting(name, field) for name, field in Settings.model_fields.items()),
        ),
    )
