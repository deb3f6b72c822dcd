"""How an object store is reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageOptions:
    """How an object store is reached: its endpoint (None: Amazon's), and whether requests go unsigned."""

    endpoint_url: str | None = None
    anonymous: bool = False
