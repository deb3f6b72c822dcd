"""How an object store is reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageOptions:
    """The endpoint of an object store (None: Amazon S3), and whether requests are unsigned."""

    endpoint_url: str | None = None
    anonymous: bool = False
