"""The fields that each feature needs, and when it is available."""

from __future__ import annotations

from toytip.stages import featurize, zone_rates

# Of every feature, natural or a rate by zone: the fields that it is made from, and the moment at which it is known.
FEATURE_INPUTS = {f.name: f.needs for f in featurize.FEATURES} | {
    r.name: r.needs for r in zone_rates.ZONE_RATES
}
FEATURE_AVAILABILITY = {f.name: str(f.available_at) for f in featurize.FEATURES} | {
    r.name: r.available_at for r in zone_rates.ZONE_RATES
}
