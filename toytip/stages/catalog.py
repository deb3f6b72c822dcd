"""The tables with all their columns, and the inputs and availability of each feature."""

from __future__ import annotations

from toytip.core.tables import FEATURES_TABLE, TABLES
from toytip.stages import featurize, zone_rates

# Every table that is not an artifact, with all of its columns.
READABLE_TABLES = {
    table.name: featurize.FEATURES_SCHEMA if table is FEATURES_TABLE else table
    for table in TABLES
    if not table.is_artifact
}

# Of every feature, natural or a rate by zone: the fields that it is made from, and the moment at which it is known.
FEATURE_INPUTS = {f.name: f.needs for f in featurize.FEATURES} | {
    r.name: r.needs for r in zone_rates.ZONE_RATES
}
FEATURE_AVAILABILITY = {f.name: str(f.available_at) for f in featurize.FEATURES} | {
    r.name: r.available_at for r in zone_rates.ZONE_RATES
}
