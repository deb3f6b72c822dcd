"""The errors of toytip, all of which the user can fix.

    ToytipError
    ├── ConfigError           an invalid setting, month range or split
    ├── SourceError           an input file or folder that cannot be used
    ├── SchemaError           a table whose columns or types differ from its schema
    ├── StoreError            a version that cannot be written, found or read
    │   ├── ChangedFileError  a file whose content differs from its manifest
    │   └── StoreFormatError  a store in the format of another toytip version
    ├── DataCheckError        a month that the data check holds
    ├── RegistryError         a model that cannot be registered, found, loaded or promoted
    ├── CodeError             stored code of a project that you have not run or allowed
    ├── PlanError             work that does not fit in the memory of the workers
    └── ClusterError          a cluster that cannot be used, or that fails during the work

An error has a message, `cannot <verb> <object>: <cause>`, and usually a hint that says what to do.
The command line prints the message and the hint. The command exits with 2 for a ConfigError, and
with 1 for any other error. The message is the only positional argument, so that errors survive
pickling between processes.
"""

from __future__ import annotations


class ToytipError(Exception):
    """The base class of toytip's errors, with a message and an optional `hint`."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            # Tracebacks and notebooks print notes below the message.
            self.add_note(f"hint: {hint}")


class ConfigError(ToytipError):
    """An invalid setting or combination of settings, month range or split."""


class SourceError(ToytipError):
    """An input file or folder that cannot be used."""


class SchemaError(ToytipError):
    """A table whose columns or types differ from its schema."""


class DataError(ToytipError, ValueError):
    """Rows or parameters that an estimator cannot use."""


class StoreError(ToytipError):
    """A version that cannot be written, found or read."""


class ChangedFileError(StoreError):
    """A file whose content differs from its manifest."""


class StoreFormatError(StoreError):
    """A store in the format of another toytip version."""


class DataCheckError(ToytipError):
    """A month that the data check holds, so that no model may use it."""


class RegistryError(ToytipError):
    """A model that cannot be registered, found, loaded or promoted."""


class CodeError(ToytipError):
    """Stored code of a project that you have neither run yourself nor allowed."""


class PlanError(ToytipError):
    """Work that does not fit in the memory of the workers."""


class ClusterError(ToytipError):
    """A cluster that cannot be used, or that fails during the work."""
