"""The input columns and the availability of each feature, target encodings included."""

from __future__ import annotations

from toytip.stages import featurize, zone_rates

FEATURE_INPUTS = {feature.name: feature.needs for feature in featurize.FEATURES} | {
    rate.name: rate.needs for rate in zone_rates.ZONE_RATES
}
FEATURE_AVAILABILITY = {feature.name: str(feature.available_at) for feature in featurize.FEATURES} | {
    rate.name: rate.available_at for rate in zone_rates.ZONE_RATES
}
