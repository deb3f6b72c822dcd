"""Commands that are imported on first use, so that `toytip --help` imports no command."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


def _hide_types(parameters: list[Any]) -> list[Any]:
    """Hide the types of arguments and switches in the help, because users do not type them."""
    for parameter in parameters:
        if parameter.param_type_name == "argument" or parameter.is_flag:
            vars(parameter)["display_type_rich"] = lambda ctx: None  # noqa: ARG005 - Typer's signature
    return parameters


def _expand_short_help(args: list[str]) -> list[str]:
    """Replace `-h` by `--help`.

    A declared short option would add a column to the table of options, which is too narrow for it.
    """
    return ["--help" if argument == "-h" else argument for argument in args]


class HelpfulCommand(TyperCommand):
    """A command whose help shows only values that users type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of the command, with the option `--help`."""
        return _hide_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with `-h` as a short form of `--help`."""
        return super().parse_args(ctx, _expand_short_help(args))


class HelpfulGroup(TyperGroup):
    """A group whose help shows only values that users type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of the group, with the option `--help`."""
        return _hide_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with `-h` as a short form of `--help`."""
        return super().parse_args(ctx, _expand_short_help(args))


class LazyCommand(NamedTuple):
    """A command or group: the module that defines its `app`, and the first line of its help."""

    module: str
    summary: str


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name. A lookup imports the module of the command."""

    def __init__(self, commands: Mapping[str, LazyCommand]) -> None:
        self._loaded: dict[str, Any] = {}
        self._commands = commands

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            app = importlib.import_module(self._commands[name].module).app
            self._loaded[name] = get_command(app)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def summaries(self) -> dict[str, TyperCommand]:
        """Return placeholder commands that have only a name and the first line of the help."""
        return {name: TyperCommand(name, help=item.summary) for name, item in self._commands.items()}


class LazyGroup(HelpfulGroup):
    """A group that imports a command when the command is used."""

    # `toytip.cli.app` sets this in a subclass.
    lazy_commands: Mapping[str, LazyCommand] = {}

    def __init__(self, **details: Any) -> None:
        super().__init__(**details)
        self.commands = LazyCommands(self.lazy_commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help without importing the commands."""
        commands = self.commands
        assert isinstance(commands, LazyCommands)
        self.commands = dict(commands.summaries())
        try:
            super().format_help(ctx, formatter)
        finally:
            self.commands = commands
