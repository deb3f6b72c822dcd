"""The address of a store: its location, its access options, and the form of its errors."""

from __future__ import annotations

import contextlib
import functools
import secrets
from dataclasses import dataclass, field, replace
from typing import Self

from toytip.core.access import StorageOptions
from toytip.core.redact import mask_credentials
from toytip.errors import StoreError
from toytip.io.access import as_store_error, open_file_io
from toytip.io.base import FileIO
from toytip.store.layout import Layout


@dataclass(frozen=True)
class StoreAddress:
    """A folder or bucket prefix, and an environment in it.

    Addresses are cheap to send to workers.
    """

    root: str
    """The path or URI of the store."""
    env: str
    """The name of the environment, such as `dev`."""
    storage_options: StorageOptions = field(default_factory=StorageOptions)
    """Options for access to an object store."""

    @functools.cached_property
    def file_io(self) -> FileIO:
        """The operations on the files of the store."""
        return open_file_io(self.root, self.storage_options)

    @functools.cached_property
    def layout(self) -> Layout:
        """The names of the files of the environment."""
        return Layout(self.env)

    def absolute(self) -> Self:
        """Return the address with a root that does not depend on the current folder."""
        return replace(self, root=self.file_io.absolute().root)

    @property
    def display_uri(self) -> str:
        """The address of the store for messages, without credentials."""
        return mask_credentials(self.uri())

    def uri(self, *names: str) -> str:
        """Return the URI or path of a file or folder below the environment."""
        return "/".join((self.root.rstrip("/"), self.env, *names))

    def uri_of(self, name: str) -> str:
        """Return the URI or path of a file or folder that the layout names."""
        return f"{self.root.rstrip('/')}/{name}"

    def version_uri(self, table: str, version: str) -> str:
        """Return the URI or path of the files of a version."""
        return self.uri_of(self.layout.version_folder(table, version))

    def manifest_uri(self, table: str, version: str) -> str:
        """Return the URI or path of a manifest."""
        return self.uri_of(self.layout.manifest(table, version))

    def reading(
        self, passed_through: type[OSError] | tuple[()] = ()
    ) -> contextlib.AbstractContextManager[None]:
        """Raise StoreError instead of OSError if a read fails."""
        return as_store_error(f"cannot read store {self.display_uri}", passed_through)

    def writing(
        self, passed_through: type[OSError] | tuple[()] = ()
    ) -> contextlib.AbstractContextManager[None]:
        """Raise StoreError instead of OSError if a write fails."""
        return as_store_error(f"cannot write to store {self.display_uri}", passed_through)

    def require_credentials(self) -> None:
        """Raise StoreError if writing needs credentials, and this process has none."""
        if self.storage_options.anonymous:
            raise StoreError(
                f"cannot write to store {self.display_uri}: it needs credentials",
                hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment or in .env, "
                "or set AWS_PROFILE.",
            )

    def require_writable(self) -> None:
        """Raise StoreError if the store cannot be written, or lacks the guarantees of a store."""
        self.require_credentials()
        with self.writing():
            self.file_io.require_guarantees(self.layout.probes(secrets.token_hex(8)))

    def require_guarantees(self) -> None:
        """Raise StoreError as `require_writable` does. Each process checks a store once."""
        self.require_credentials()
        with self.writing():
            _require_guarantees(self.file_io, self.layout)


@functools.lru_cache(maxsize=8)
def _require_guarantees(file_io: FileIO, layout: Layout) -> None:
    file_io.require_guarantees(layout.probes(secrets.token_hex(8)))
