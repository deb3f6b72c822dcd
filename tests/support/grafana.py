"""The Grafana dashboard of the repository."""

from __future__ import annotations

import json
from pathlib import Path

GRAFANA_DIR = Path(__file__).parents[2] / "cluster" / "grafana"


def dashboard_queries() -> list[str]:
    """Return the Prometheus queries of all panels."""
    dashboard = json.loads((GRAFANA_DIR / "toytip.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
