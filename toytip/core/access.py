"""Options to access an object store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageOptions:
    """Options to access an object store. Each process reads credentials from its environment."""

    endpoint_url: str | None = None
    """URL of the server, or None for Amazon S3."""
    anonymous: bool = False
    """Whether requests are sent without a signature."""
    region: str = "us-east-1"
    """Region of the bucket."""
