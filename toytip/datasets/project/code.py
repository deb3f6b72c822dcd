"""Digests of the code of functions, so that an edit runs only the stages that it changes.

The digest of a function contains the function and everything at the top level of its module that
it uses, directly or through other functions. Comments and empty lines do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator

# Calls that can read names which the syntax tree does not contain. Everything then counts.
_DYNAMIC_NAMES = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__", "getattr", "setattr"})


class ModuleCode:
    """The statements of a module, by the names that they define."""

    def __init__(self, source: str, file: str) -> None:
        body = ast.parse(source, file).body
        self._definitions: dict[str, list[ast.stmt]] = {}
        self._always: list[ast.stmt] = []
        self.repeated: dict[str, int] = {}
        """Names of functions that are defined more than once, with the line of the last one."""
        for statement in body:
            names = tuple(_defined_names(statement))
            for name in names:
                if name in self._definitions and isinstance(statement, ast.FunctionDef):
                    self.repeated[name] = statement.lineno
                self._definitions.setdefault(name, []).append(statement)
            if not names and not _is_text(statement):
                self._always.append(statement)
        used = {node.id for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Name)}
        if used & _DYNAMIC_NAMES:
            self._always = body

    def line_of(self, name: str) -> int:
        """Return the line of the last statement that defines a name."""
        return self._definitions[name][-1].lineno

    def digest(self, name: str) -> str:
        """Return the digest of the code of a function."""
        statements = [*self._always, *self._used_by([*self._definitions.get(name, ()), *self._always])]
        code = sorted({ast.dump(statement) for statement in statements})
        return hashlib.sha256("\n".join(code).encode()).hexdigest()[:16]

    def _used_by(self, statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
        """Yield statements and everything that they use."""
        pending, visited = list(statements), set[int]()
        while pending:
            statement = pending.pop()
            if id(statement) in visited:
                continue
            visited.add(id(statement))
            yield statement
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    pending.extend(self._definitions.get(node.id, ()))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _defined_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top level of a module defines, if it is simple."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            if alias.name != "*":
                yield (alias.asname or alias.name).partition(".")[0]
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    yield node.id
