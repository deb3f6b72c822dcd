"""Apply the code blocks of `docs/how-to/extend.md` to a copy of the package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

CODE_BLOCK = re.compile(
    r"```(python|diff)\n# (toytip/[\w/]+\.py)(?:, (above|in) (\w+))?\n(.*?)```", re.DOTALL
)


def find_blocks(page: str) -> list[tuple[str, str, str, str, str]]:
    """Return the language, file, position (`above` or `in`), name and code of each block."""
    return CODE_BLOCK.findall(page)


def apply_blocks(page: str, package: Path, root: Path) -> None:
    """Copy the package to a root folder, and apply every block of the page to the copy."""
    shutil.copytree(package, root / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for language, file, position, name, code in find_blocks(page):
        path = root / file
        if language == "diff":
            path.write_text(_apply_diff(path.read_text(), code))
        elif position:
            path.write_text(_insert_lines(path.read_text(), position, name, code))
        else:
            assert not path.exists(), f"{file} already exists"
            path.write_text(code)


def _apply_diff(source: str, diff: str) -> str:
    """Replace each group of `-` lines by the group of `+` lines after it."""
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        removed, added = (re.sub(r"^[-+]", "", lines, flags=re.MULTILINE) for lines in (old, new))
        assert source.count(removed) == 1, f"these lines do not occur exactly once:\n{removed}"
        source = source.replace(removed, added)
    return source


def _insert_lines(source: str, position: str, name: str, code: str) -> str:
    """Insert lines above a definition, at its end, or into the imports."""
    lines = source.splitlines(keepends=True)
    if name == "imports":
        last = max(number for number, line in enumerate(lines) if line.startswith("from toytip"))
        return "".join([*lines[:last], code, *lines[last:]])
    definition = re.compile(rf"(def |class )?{name}\b(?!\.)")
    start = next(number for number, line in enumerate(lines) if definition.match(line))
    if position == "above":
        while lines[start - 1].startswith(("#", "@")):
            start -= 1
        return "".join([*lines[:start], code, "\n\n", *lines[start:]])
    is_function = lines[start].startswith("def ")
    end = next(
        n
        for n in range(start + 1, len(lines))
        if lines[n].strip() and lines[n][0] != " " and not (is_function and lines[n].startswith(") ->"))
    )
    if is_function:  # insert before the blank lines that follow the function
        while not lines[end - 1].strip():
            end -= 1
    return "".join([*lines[:end], code, *lines[end:]])
