"""Generate the pages of commands and settings from the command tree and the settings model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from typer.main import get_command

from docs.generate.json_schema import RESULTS
from docs.generate.markdown import code, page, table
from toytip.cli import app, options
from toytip.config import Settings
from toytip.errors import ConfigError

PANELS = (
    options.SOURCE_PANEL,
    options.STORE_PANEL,
    options.WORKERS_PANEL,
    options.TRAINING_PANEL,
    options.OUTPUT_PANEL,
)
# Settings whose option has another name.
SETTINGS_WITH_OTHER_NAMES = {
    "data_dir": "--output-dir",
    "synth_rows_per_month": "--rows-per-month",
    "synth_seed": "--seed",
}
NOTE = re.compile(r"(?P<text>.*?)\s*\\?\[(choices: (?P<choices>[^;\]]*))?(; )?(default: (?P<default>.*))?\]")


def commands(tree: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each command with its full name, in the order of the help."""
    for word, command in (tree or get_command(app)).commands.items():
        full = f"{name} {word}".strip()
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield full, command
            yield from commands(command, full)
        else:
            yield full, command


def is_common(parameter: Any) -> bool:
    """Return whether the option is in a help panel that several commands have."""
    return getattr(parameter, "rich_help_panel", None) in PANELS


def choices_of(parameter: Any) -> tuple[str, ...]:
    """Return the allowed values of an option, or an empty tuple if they are not listed."""
    annotation = parameter.type_descriptor.annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def split_help(parameter: Any) -> tuple[str, str]:
    """Return the meaning of an option with its choices, and its default."""
    text = parameter.help or ""
    match = NOTE.fullmatch(text)
    if match:
        choices = f" Choices: {match['choices']}." if match["choices"] else ""
        return match["text"] + choices, match["default"] or ""
    # 0 is a default, and equals False.
    has_default = not parameter.required and all(parameter.default is not none for none in (None, False, ...))
    choices = ", ".join(choices_of(parameter))
    meaning = f"{text} Choices: {choices}." if choices else text
    return meaning, str(parameter.default) if has_default else ""


def _names(parameter: Any) -> str:
    """Return the names of an option with the placeholder of its value."""
    names = ", ".join(code(name) for name in parameter.opts[1:])
    value = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
    return code(f"{parameter.opts[0]}{value}") + (f", {names}" if names else "")


def _row(parameter: Any) -> list[str]:
    meaning, default = split_help(parameter)
    if parameter.param_type_name == "argument":
        return [code(parameter.metavar or parameter.name.upper()), default or "required", meaning]
    return [_names(parameter), default, meaning]


def common() -> dict[str, dict[str, Any]]:
    """Return the options that several commands have, by panel and name."""
    panels: dict[str, dict[str, Any]] = {panel: {} for panel in PANELS}
    for _, command in commands():
        for parameter in filter(is_common, command.params):
            panels[parameter.rich_help_panel].setdefault(parameter.opts[0], parameter)
    return panels


def examples(command: Any) -> list[str]:
    """Return the commands of a command's example."""
    return str(command.epilog).removeprefix("Example:").strip().split(" && ")


def of_command(name: str, command: Any) -> str:
    """Return the section of a command."""
    own = [item for item in command.params if not is_common(item) and item.name != "help"]
    shared = [item.opts[0] for item in command.params if is_common(item)]
    pieces = [
        f"## toytip {name}",
        command.help.strip(),
        "```sh\n" + "\n".join(examples(command)) + "\n```",
        table(("Argument or option", "Default", "Meaning"), map(_row, own)) if own else "",
    ]
    if shared:
        listed = "\n- ".join(f"`{option}`" for option in shared)
        pieces.append(f"This command also has these [common options](#common-options).\n\n- {listed}")
    if name in RESULTS:
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
        f"**{panel}**\n\n" + table(("Option", "Default", "Meaning"), map(_row, panel_options.values()))
        for panel, panel_options in common().items()
    ]
    return page(
        "Commands",
        "`toytip COMMAND --help` prints the information of this page about a command. You can also set many options in the environment or in a file "
        "([settings](settings.md)).",
        table(("Command", "Description"), listed),
        *(of_command(name, command) for name, command in commands()),
        "## Common options",
        "Several commands share the options of this section. The section of a command lists the common options of the command.",
        *shared,
    )


def limits_text(field: FieldInfo) -> str:
    """Return the allowed range of a value as text."""
    signs = {"ge": "at least", "gt": "more than", "le": "at most"}
    limits = [
        f"{word} {getattr(item, sign):g}"
        for sign, word in signs.items()
        for item in field.metadata
        if getattr(item, sign, None) is not None
    ]
    return ", ".join(limits)


def flags() -> dict[str, str]:
    """Return the option of each setting that has an option."""
    return {
        parameter.name: parameter.opts[0]
        for _, command in commands()
        for parameter in command.params
        if parameter.name in Settings.model_fields and parameter.param_type_name == "option"
    } | SETTINGS_WITH_OTHER_NAMES


def setting_row(name: str, field: FieldInfo) -> list[str]:
    """Return the table row of a setting. Raises ConfigError if the setting has no description."""
    if not field.description:
        raise ConfigError(
            f"cannot document setting {name}: it has no description", hint="Add one in toytip/config.py."
        )
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    limits = limits_text(field)
    meaning = field.description + (f" Choices: {', '.join(values)}." if values else "")
    meaning += f" Limits: {limits}." if limits else ""
    ways = (name, flags().get(name), f"TOYTIP_{name.upper()}")
    return ["<br>".join(code(way) for way in ways if way), _default(name, field), meaning]


def _default(name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return options.default_text(name) if name in Settings.model_fields else ""
    return "" if value == {} else code(value)


def settings_page() -> str:
    """Return the page of settings."""
    return page(
        "Settings",
        "If a setting has values in several places, toytip uses the value from the first of these places:",
        "1. command-line options\n2. the parameter file (`--params`, `TOYTIP_PARAMS` or `params`)\n"
        "3. `TOYTIP_*` environment variables\n4. `.env`\n5. `toytip.toml`\n6. defaults",
        "`toytip config` prints the values that apply. In `toytip.toml`, the key is the name of the setting "
        "([example](../how-to/configure.md)).",
        table(
            ("Setting, option, variable", "Default", "Meaning"),
            (setting_row(name, field) for name, field in Settings.model_fields.items()),
        ),
    )
