"""What can go wrong, and is the user's to mend.

ToytipError
├── ConfigError    a setting, a month range or a split that makes no sense
├── SourceError    an input file or folder that cannot be used
├── SchemaError    a table whose columns or dtypes are not what its schema says
├── StoreError     a version that cannot be written, found or read
├── RegistryError  a model that cannot be registered, found or promoted
├── PlanError      work that would not fit in the workers' memory
└── ClusterError   workers that cannot be started, reached or kept

Each carries one line: what, where, and what to do. They take one message argument, so that they
survive the pickling between workers and the driver.
"""


class ToytipError(Exception):
    """The root of toytip's own errors; the command line turns it into one line and exit code 1."""


class ConfigError(ToytipError):
    """A setting, a month range or a split that makes no sense."""


class SourceError(ToytipError):
    """An input file or folder that cannot be used."""


class SchemaError(ToytipError):
    """A table whose columns or dtypes are not what its schema says."""


class StoreError(ToytipError):
    """A version that cannot be written, found or read."""


class RegistryError(ToytipError):
    """A model that cannot be registered, found or promoted."""


class PlanError(ToytipError):
    """Work that would not fit in the workers' memory."""


class ClusterError(ToytipError):
    """Workers that cannot be started, reached or kept."""
