"""All tables with their columns, and the input columns and availability of each feature."""

from __future__ import annotations

from toytip.core.tables import FEATURES_TABLE, TABLES
from toytip.stages import featurize, zone_rates

# Every table that is not an artifact, with its columns.
READABLE_TABLES = {
    table.name: featurize.FEATURES_SCHEMA if table is FEATURES_TABLE else table
    for table in TABLES
    if not table.is_artifact
}

FEATURE_INPUTS = {feature.name: feature.needs for feature in featurize.FEATURES} | {
    rate.name: rate.needs for rate in zone_rates.ZONE_RATES
}
FEATURE_AVAILABILITY = {feature.name: str(feature.available_at) for feature in featurize.FEATURES} | {
    rate.name: rate.available_at for rate in zone_rates.ZONE_RATES
}
