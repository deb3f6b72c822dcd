"""Decide which stored code of projects this process executes.

Models and manifests contain the text of a module. Anyone who can write to a store can change this
text. toytip therefore executes it only if the user has executed the same text from a file, or has
allowed stored code.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from toytip.core.dataset.module_source import ModuleSource
from toytip.errors import CodeError

ALLOW_HINT = (
    "Read the code in `toytip version show VERSION --json`. If you trust everyone who can write to the store, "
    "set TOYTIP_ALLOW_PROJECT_CODE=true."
)


@dataclass(frozen=True, kw_only=True)
class CodePolicy:
    """The stored code that a process executes, in addition to the code that it already knows."""

    allows_all: bool = False
    own_file: str | None = None
    """Path of the module of the user's project, whose text is allowed."""
    folder: Path | None = None
    """Folder that records the texts that the user has executed from files, by digest."""


# The policy of this process, and the digests of the texts that it executes in any case.
_POLICY = [CodePolicy()]
_TRUSTED: set[str] = set()


def set_policy(policy: CodePolicy) -> None:
    """Set the policy of this process."""
    _POLICY[0] = policy


def get_policy() -> CodePolicy:
    """Return the policy of this process, for processes that it starts."""
    return _POLICY[0]


@contextlib.contextmanager
def allow_stored_code() -> Iterator[None]:
    """Execute all stored code in this context."""
    policy = get_policy()
    set_policy(replace(policy, allows_all=True))
    try:
        yield
    finally:
        set_policy(policy)


def trust_module(module: ModuleSource) -> None:
    """Let this process execute the text of a module."""
    _TRUSTED.add(_digest(module.source))


def record_module(module: ModuleSource) -> None:
    """Let this process, and later processes of the user, execute the text of a module.

    The user has executed the text from a file. If the folder is not writable, only this process
    knows the text.
    """
    trust_module(module)
    folder = get_policy().folder
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / _digest(module.source)).touch(mode=0o600)


def require_trusted(module: ModuleSource) -> None:
    """Raise CodeError if this process must not execute the text of a stored module."""
    policy, digest = get_policy(), _digest(module.source)
    if policy.allows_all or digest in _TRUSTED or _is_own(policy, module) or _is_recorded(policy, digest):
        return
    raise CodeError(
        f"cannot run the code of the module {module.file} (digest {module.digest[:12]}): it is stored in a model "
        "or a version, and you have not run it from a file on this machine",
        hint=ALLOW_HINT,
    )


def _is_own(policy: CodePolicy, module: ModuleSource) -> bool:
    if policy.own_file is None:
        return False
    try:
        return Path(policy.own_file).read_text(encoding="utf-8-sig") == module.source
    except (OSError, ValueError):
        return False


def _is_recorded(policy: CodePolicy, digest: str) -> bool:
    try:
        return policy.folder is not None and (policy.folder / digest).exists()
    except OSError:
        return False


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
