"""The groups of taxi trips for target encodings and baselines."""

from __future__ import annotations

from toytip.core.dataset.declarations import Key, TargetEncoding, TargetRate
from toytip.datasets.zones import ZONE_ID_COUNT

PICKUP_ZONE, DROPOFF_ZONE = (Key(name, ZONE_ID_COUNT) for name in ("PULocationID", "DOLocationID"))
# High-tip rates of zones. Cash tips are not recorded, so only card trips count.
ZONE_RATES = TargetEncoding(
    keys=(PICKUP_ZONE, DROPOFF_ZONE),
    rates=(
        TargetRate("pickup_zone_rate", "pickup", ("PULocationID",)),
        TargetRate("dropoff_zone_rate", "dropoff", ("DOLocationID",)),
        TargetRate("zone_pair_rate", "dropoff", ("PULocationID", "DOLocationID")),
    ),
)
HOUR_AND_ZONE = (Key("pickup_hour", 24), PICKUP_ZONE)
HASH_COLUMNS = ("trip_time", "PULocationID", "DOLocationID", "trip_distance", "fare_amount")
