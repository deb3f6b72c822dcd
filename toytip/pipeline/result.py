"""What a run returns."""

from __future__ import annotations

from typing import Any

from toytip.config import mask_credentials
from toytip.pipeline.context import RunContext
from toytip.store.manifest import Manifest


def describe_table(context: RunContext, manifest: Manifest) -> dict[str, Any]:
    """Return what a person needs to find a version."""
    return {
        "version": manifest.version,
        "path": mask_credentials(context.store.version_uri(manifest.table, manifest.version)),
        "manifest": mask_credentials(context.store.manifest_uri(manifest.table, manifest.version)),
        "rows": manifest.rows,
        "bytes": manifest.bytes,
    }
