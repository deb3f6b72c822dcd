"""`toytip new`."""

from __future__ import annotations

import keyword
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from toytip.cli.app import new_app
from toytip.errors import ConfigError

app = new_app("new")

# The text files of this package, by the path of the file in a project.
TEMPLATES = {
    "{name}.py": "module.txt",
    "toytip.toml": "settings.txt",
    "tests/test_{name}.py": "test.txt",
    "README.md": "readme.txt",
}


@app.command(epilog="Example:  toytip new mytips")
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the project, and of its Python module.")
    ],
) -> None:
    """Create a project with your own features, rules and label.

    The command creates the folder NAME with a module, settings, a test and a README. `toytip run`
    in this folder uses the module.
    """
    folder = create_project(name, Path())
    typer.echo(f"created {folder} with {', '.join(path.format(name=name) for path in TEMPLATES)}")
    typer.echo(f"next: cd {folder} && toytip run")


def create_project(name: str, parent: Path) -> Path:
    """Write the files of a new project to a folder that is named after it, and return the folder.

    Raises ConfigError if the name is not that of a module, or if the folder exists.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(
            f"cannot create project {name!r}: it is not a name of a Python module",
            hint="Use letters, digits and underscores, and begin with a letter.",
        )
    folder = parent / name
    # Python also finds the folder of a project, if it is in the current folder.
    if not folder.exists() and find_spec(name) is not None:
        raise ConfigError(
            f"cannot create project {name}: Python has a module of this name", hint="Choose another name."
        )
    try:
        folder.mkdir()
        (folder / "tests").mkdir()
        for path, template in TEMPLATES.items():
            text = resources.files(__package__).joinpath(template).read_text(encoding="utf-8")
            (folder / path.format(name=name)).write_text(text.replace("NAME", name), encoding="utf-8")
    except FileExistsError:
        raise ConfigError(
            f"cannot create project {name}: {folder} already exists",
            hint="Choose another name, or remove the folder.",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot create project {name}: {error.strerror}", hint="Choose a writable folder."
        ) from None
    return folder
