"""Find the docstrings, comments, strings and names of a Python module."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tests.support.prose import MIN_WORDS, Block, count_words, docstring_blocks, joined, one_line

# A string, so that its hash sign does not count, or a comment.
COMMENT = re.compile(
    r"\"\"\"(?:\\[\s\S]|[^\\])*?\"\"\"|'''(?:\\[\s\S]|[^\\])*?'''|\"(?:\\[\s\S]|[^\"\\\n])*\"|'(?:\\[\s\S]|[^'\\\n])*'"
    r"|#(?P<comment>[^\n]*)"
)
PRAGMA = re.compile(r"(?:^|#)\s*(?:noqa\b|type:|fmt:|pragma:|ruff:|mypy:|!).*")
# Shell scripts, security policies and content types have semicolons too.
NOT_TEXT = re.compile(r"\"\$[\w@]|'(?:self|none)'|charset=")


@dataclass(frozen=True)
class PythonSource:
    """A Python module."""

    text: str

    @cached_property
    def nodes(self) -> dict[type, list[ast.AST]]:
        """Return the nodes of the syntax tree by their type."""
        nodes = defaultdict(list)
        stack: list[object] = [ast.parse(self.text)]
        while stack:
            node = stack.pop()
            if isinstance(node, list):
                stack += node
            elif isinstance(node, ast.AST):
                nodes[type(node)].append(node)
                stack += vars(node).values()
        return nodes

    @cached_property
    def docstrings(self) -> dict[int, ast.Constant]:
        """Return the strings that are statements, by the identity of their node."""
        values = [node.value for node in self.nodes[ast.Expr] if isinstance(node, ast.Expr)]
        return {id(value): value for value in values if isinstance(value, ast.Constant)}

    def docstring_blocks(self) -> Iterator[Block]:
        """Yield the blocks of the docstrings."""
        for node in self.docstrings.values():
            if isinstance(node.value, str):
                yield from docstring_blocks(node.value, node.lineno)

    def comment_blocks(self) -> Iterator[Block]:
        """Yield the comments. Comments on consecutive lines, at the same column, are one block."""
        group: list[tuple[int, str]] = []
        last = (0, 0)
        for line, column, text in self._comments():
            if group and (line - 1, column) != last:
                yield joined(group)
                group = []
            if text:
                group.append((line, text))
            last = (line, column)
        if group:
            yield joined(group)

    def _comments(self) -> Iterator[tuple[int, int, str]]:
        line, position = 1, 0
        for match in COMMENT.finditer(self.text):
            if match["comment"] is not None:
                line += self.text.count("\n", position, match.start())
                position = match.start()
                column = position - self.text.rfind("\n", 0, position)
                yield line, column, PRAGMA.sub("", match["comment"]).strip("# \t")

    def string_blocks(self) -> Iterator[Block]:
        """Yield the strings of two words or more, without the docstrings."""
        for line, text in self._strings():
            for number, part in enumerate(text.split("\n"), line):
                if count_words(part) >= MIN_WORDS and not NOT_TEXT.search(part):
                    yield one_line(part, number)

    def _strings(self) -> Iterator[tuple[int, str]]:
        pieces = set(self.docstrings)
        for node in self.nodes[ast.JoinedStr]:
            if isinstance(node, ast.JoinedStr):
                pieces.update(map(id, node.values))
                yield node.lineno, _template(node)
        for node in self.nodes[ast.Constant]:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
                yield node.lineno, node.value

    def hints(self) -> Iterator[tuple[int, str]]:
        """Yield the text of each `hint=` argument that is a string, with its line."""
        for node in self.nodes[ast.keyword]:
            if isinstance(node, ast.keyword) and node.arg == "hint":
                if isinstance(node.value, ast.JoinedStr):
                    yield node.value.lineno, _template(node.value)
                elif isinstance(node.value, ast.Constant):
                    yield node.value.lineno, str(node.value.value)

    def names(self) -> Iterator[tuple[int, str]]:
        """Yield each name that the module defines or assigns, and each keyword, with its line."""
        for kind, field in NAMES.items():
            for node in self.nodes[kind]:
                name = getattr(node, field)
                if name and not isinstance(getattr(node, "ctx", None), ast.Load):
                    yield getattr(node, "lineno", 1), name


NAMES: dict[type[ast.AST], str] = {
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.Name: "id",
    ast.Attribute: "attr",
    ast.arg: "arg",
    ast.keyword: "arg",
    ast.alias: "asname",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}


def _template(node: ast.JoinedStr) -> str:
    parts = (value.value if isinstance(value, ast.Constant) else "{value}" for value in node.values)
    return "".join(map(str, parts))
