"""Applying what `docs/extending.md` says to a copy of the package, block by block."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

CODE_BLOCK = re.compile(
    r"```(python|diff)\n# (toytip/[\w/]+\.py)(?:, (above|in) (\w+))?\n(.*?)```", re.DOTALL
)


def find_blocks(page: str) -> list[tuple[str, str, str, str, str]]:
    """Return of every block: its language, file, `above` or `in`, the name that it goes by, and the lines."""
    return CODE_BLOCK.findall(page)


def apply_blocks(page: str, package: Path, root: Path) -> None:
    """Copy the package to a root, and apply every block of the page to it."""
    shutil.copytree(package, root / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for language, file, where, name, text in find_blocks(page):
        path = root / file
        if language == "diff":
            path.write_text(_apply_diff(path.read_text(), text))
        elif where:
            path.write_text(_insert_lines(path.read_text(), where, name, text))
        else:
            assert not path.exists(), f"{file} is there already"
            path.write_text(text)


def _apply_diff(source: str, diff: str) -> str:
    """Replace each run of `-` lines by the run of `+` lines after it."""
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        before, after = (re.sub(r"^[-+]", "", lines, flags=re.MULTILINE) for lines in (old, new))
        assert source.count(before) == 1, f"these lines are not there, or more than once:\n{before}"
        source = source.replace(before, after)
    return source


def _insert_lines(source: str, where: str, name: str, text: str) -> str:
    """Put lines above what defines a name, its comments and decorators, or in it, at its end; or among the imports."""
    lines = source.splitlines(keepends=True)
    if name == "imports":
        last = max(number for number, line in enumerate(lines) if line.startswith("from toytip"))
        return "".join([*lines[:last], text, *lines[last:]])
    defined = re.compile(rf"(def |class )?{name}\b(?!\.)")
    at = next(number for number, line in enumerate(lines) if defined.match(line))
    if where == "above":
        while lines[at - 1].startswith(("#", "@")):
            at -= 1
        return "".join([*lines[:at], text, "\n\n", *lines[at:]])
    end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() and lines[n][0] != " ")
    if lines[end][0] not in ")]}":  # a function: at its end, not at that of the blank lines after it
        while not lines[end - 1].strip():
            end -= 1
    return "".join([*lines[:end], text, *lines[end:]])
