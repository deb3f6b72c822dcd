"""Find code that reads values from outside of a module: environment variables and the clock.

Such a value can differ between machines and runs. A change of it does not change the digest of the
code, so that a run would not notice it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

_CLOCKS = {"now", "today", "utcnow", "time_ns"}
# Methods of `os.environ` that write a variable.
_WRITES = {"setdefault", "update"}


def find_outside_value(statements: Iterable[ast.stmt]) -> str:
    """Return the kind of value from outside that statements read, or "" if they read none.

    >>> find_outside_value(ast.parse("import os; LIMIT = int(os.environ['LIMIT'])").body)
    'an environment variable'
    """
    nodes = [node for statement in statements for node in ast.walk(statement)]
    if any(map(_reads_variable, nodes)):
        return "an environment variable"
    return "the clock" if any(map(_reads_clock, nodes)) else ""


def _reads_variable(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load) and _name_of(node.value) == "environ"
    if isinstance(node, ast.Attribute) and _name_of(node.value) == "environ":
        return node.attr not in _WRITES
    return _name_of(node) == "getenv"


def _reads_clock(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr in _CLOCKS or ast.unparse(node.func) == "time.time"


def _name_of(node: ast.AST) -> str:
    """Return the last name of an expression such as `os.environ`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
