"""Options to access an object store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageOptions:
    """Options to access an object store. Credentials come from the environment of each process."""

    endpoint_url: str | None = None
    """URL of the server, or None for Amazon S3."""
    anonymous: bool = False
    """Whether requests are sent without a signature."""
