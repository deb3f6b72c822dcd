"""Digests of the code of functions, so that an edit runs only the stages that it changes.

The digest of a function contains the function and everything at the top level of its module that
it uses, directly or through other functions, in the order of the file. Comments and empty lines do
not count. Statements with effects that the syntax tree does not show count for every function. If
the module uses a name such as `exec`, all statements count.
"""

from __future__ import annotations

import ast
import hashlib
import symtable
from collections.abc import Iterable, Iterator

from toytip.datasets.project.packages import describe_package

# Names with which code can read or change other names at run time. If one occurs, all statements
# count.
_DYNAMIC_NAMES = frozenset(
    {
        *("globals", "locals", "vars", "eval", "exec", "getattr", "setattr", "delattr", "attrgetter"),
        *("__import__", "__builtins__", "__dict__", "__globals__", "_getframe", "modules", "query"),
        *("builtins", "gc", "import_module", "importlib", "inspect"),
    }
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Import = ast.Import | ast.ImportFrom
_Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign
# Nodes that can change an object that exists, such as an iterator.
_ACTIONS = (ast.Call, ast.comprehension, ast.Starred, ast.AugAssign)
_CONSTANTS = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop, ast.expr_context)


class ModuleCode:
    """The statements of a module, by the names that they define."""

    def __init__(self, source: str, file: str) -> None:
        self._body = [item for item in ast.parse(source, file).body if not _is_text(item)]
        self._definitions: dict[str, list[ast.stmt]] = {}
        self._imported = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(ast.Module(self._body, []))
            if isinstance(node, _Import)
            for alias in node.names
        }
        self.repeated: dict[str, int] = {}
        """Names of functions that are defined more than once, with the line of the last one."""
        for statement in self._body:
            if isinstance(statement, ast.FunctionDef) and statement.name in self._definitions:
                self.repeated[statement.name] = statement.lineno
            self._define(statement, _defined_names(statement))
        for statement in self._body:
            self._define(statement, _global_names(statement))
        self._uses = {id(item): frozenset(_used_names(item)) for item in self._body}
        self._states = {
            id(item): frozenset(_defined_names(item)) if _is_changeable(item) else () for item in self._body
        }
        is_dynamic = not _DYNAMIC_NAMES.isdisjoint(_identifiers(self._body))
        self._always = [item for item in self._body if self._counts_always(item)]
        self._hidden = self._body if is_dynamic else []
        for statement, names in [(item, list(self._changed_names(item))) for item in self._body]:
            self._define(statement, names)

    def _define(self, statement: ast.stmt, names: Iterable[str]) -> None:
        for name in dict.fromkeys(names):
            self._definitions.setdefault(name, []).append(statement)

    def imports(self, name: str) -> bool:
        """Return whether the module can have a name from an import."""
        return name in self._imported or ("*" in self._imported and name not in self._definitions)

    def line_of(self, name: str) -> int:
        """Return the line of the first statement that defines a name. 1 for a star import."""
        return next((item.lineno for item in self._definitions.get(name, ())), 1)

    def digest(self, names: Iterable[str]) -> str:
        """Return the digest of the code of a function or value, which has these names."""
        used = self._used_by([*self.statements_of(names), *self._hidden])
        packages = sorted({name for item in used for name in _imported_packages(item)})
        code = [*map(ast.dump, used), *filter(None, map(describe_package, packages))]
        return hashlib.sha256("\n".join(code).encode()).hexdigest()[:16]

    def statements_of(self, names: Iterable[str]) -> list[ast.stmt]:
        """Return the statements that visibly determine the values of names, in order."""
        defined = [item for name in names for item in self._definitions.get(name, ())]
        return self._used_by([*defined, *self._always])

    def uses(self, names: Iterable[str], name: str) -> bool:
        """Return whether the code of names uses another name."""
        defined = [item for name in names for item in self._definitions.get(name, ())]
        return any(item in self._definitions.get(name, ()) for item in self._used_by(defined))

    def _used_by(self, nodes: Iterable[ast.AST]) -> list[ast.stmt]:
        """Return the statements among nodes, and all statements that the nodes use, in order."""
        pending, visited = list(nodes), set[int]()
        while pending:
            node = pending.pop()
            if id(node) not in visited:
                visited.add(id(node))
                for name in self._uses.get(id(node)) or _used_names(node):
                    pending.extend(self._definitions.get(name, ()))
        return [item for item in self._body if id(item) in visited]

    def _counts_always(self, statement: ast.stmt) -> bool:
        """Return whether a statement can have an effect other than defining names."""
        if isinstance(statement, _Import):  # an unused import can have an effect
            defined = set(_defined_names(statement))
            return not any(defined & self._uses[id(item)] for item in self._body if item is not statement)
        if isinstance(statement, _Assignment | ast.Delete):
            places = (node for node in ast.walk(statement) if isinstance(node, ast.Attribute | ast.Subscript))
            return any(not isinstance(node.ctx, ast.Load) for node in places)
        return not isinstance(statement, _Function | ast.ClassDef)

    def _changed_names(self, statement: ast.stmt) -> Iterator[str]:
        """Yield the names of objects that a statement can change when it is executed."""
        effects = self._effects(statement)
        for used in self._used_by(effects) if effects else ():
            if used is not statement:
                yield from self._states[id(used)]
        for decorator in getattr(statement, "decorator_list", ()):
            if self._is_own(decorator) and any(
                isinstance(node, ast.Attribute) for node in ast.walk(decorator)
            ):
                yield _root(decorator)  # such as the function in `@function.register`

    def _effects(self, statement: ast.stmt) -> list[ast.AST]:
        """Return the nodes through which a statement can change objects that exist."""
        if not isinstance(statement, _Function | ast.ClassDef):
            return [statement] if _acts(statement) else []
        called: list[ast.expr] = list(statement.decorator_list)
        if isinstance(statement, ast.ClassDef):
            called += [*statement.bases, *(keyword.value for keyword in statement.keywords)]
            inner = [node for item in statement.body for node in self._effects(item)]
        else:
            defaults = [*statement.args.defaults, *statement.args.kw_defaults]
            inner = [node for node in defaults if node is not None and _acts(node)]
        return [*filter(self._is_own, called), *inner]

    def _is_own(self, called: ast.expr) -> bool:
        """Return whether a decorator or base class is code of the module, and can have a state."""
        name = _root(called)
        return any(not isinstance(item, _Import) for item in self._definitions.get(name, ()))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _acts(node: ast.AST) -> bool:
    return any(isinstance(inner, _ACTIONS) for inner in ast.walk(node))


def _is_changeable(statement: ast.stmt) -> bool:
    """Return whether a statement defines an object that has a state, such as a dict or a class."""
    if isinstance(statement, _Assignment) and statement.value is not None:
        return not all(isinstance(node, _CONSTANTS) for node in ast.walk(statement.value))
    if isinstance(statement, ast.ClassDef):  # a class that only lists values has no state
        return not all(
            isinstance(item, ast.AnnAssign | ast.Pass) or _is_text(item) for item in statement.body
        )
    return not isinstance(statement, _Function | _Import | ast.AnnAssign | ast.Delete)


def _root(node: ast.expr) -> str:
    """Return the name with which an expression such as `name.attribute(1)` starts."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _used_names(node: ast.AST) -> Iterator[str]:
    """Yield the names of the module that a node uses."""
    if isinstance(node, ast.stmt):
        yield from _module_symbols(symtable.symtable(ast.unparse(node), "<module>", "exec"))
    else:
        yield from (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _module_symbols(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names of the module in a scope. Local variables of functions do not count."""
    for symbol in table.get_symbols():
        if table.get_type() != "function" or symbol.is_global():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _module_symbols(child)


def _identifiers(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names of variables, attributes and imports in nodes."""
    for inner in (inner for node in nodes for inner in ast.walk(node)):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.alias):
            yield from inner.name.split(".")


def _defined_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top level of a module defines when it is executed."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(name := getattr(node, "name", None), str):  # functions, classes, except, match
            yield name
        if isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        pending += [inner for inner in ast.iter_child_nodes(node) if not _is_local(node, inner)]


def _is_local(node: ast.AST, inner: ast.AST) -> bool:
    """Return whether the names that a part of a node defines are not names of the module."""
    if isinstance(node, ast.comprehension):
        return inner is node.target
    body = getattr(node, "body", ()) if isinstance(node, _Function | ast.ClassDef) else ()
    return inner in body or isinstance(inner, ast.Lambda)


def _global_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names of the module that functions in a statement define."""
    return (name for node in ast.walk(statement) if isinstance(node, ast.Global) for name in node.names)


def _imported_packages(statement: ast.stmt) -> Iterator[str]:
    """Yield the names of the packages that a statement imports."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
