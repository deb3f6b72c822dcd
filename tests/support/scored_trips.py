"""Random trips of January 2023 with scores, for tests of the evaluation."""

import numpy as np
import pandas as pd

from tests.support.trips import make_trips
from toytip.core.model import Encoding
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import SCORES
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.zones import ZONE_ID_COUNT
from toytip.stages import featurize
from toytip.stages.postprocess import postprocess
from toytip.stages.summarize import summarize_predictions

SPLIT = Split(
    train=TimeRange("2023-01-01", "2023-01-11"),
    validation=TimeRange("2023-01-11", "2023-01-21"),
    test=TimeRange("2023-01-21", "2023-02-01"),
)
HOUR_ZONE_RATES = np.linspace(0.2, 0.7, 24 * ZONE_ID_COUNT).astype(np.float32)
ENCODING = Encoding(
    features=(),
    split=SPLIT,
    segment="all",
    rows=10,
    positives=4,
    baseline_rates=tuple(HOUR_ZONE_RATES.tolist()),
    dataset=TLC,
)


def scored_trips(rows=5_000, seed=3):
    """Return scores that predict the label, and the features of the trips."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2023-01-01")
    trips = pd.concat([make_trips({})] * rows, ignore_index=True)
    trips["trip_id"] = np.arange(rows)
    trips["pickup_at"] = (start + pd.to_timedelta(rng.integers(0, 31 * 86_400, rows), unit="s")).astype(
        "datetime64[us]"
    )
    trips["dropoff_at"] = trips["pickup_at"] + pd.Timedelta("20min")
    trips["PULocationID"] = rng.integers(1, 264, rows).astype("float32")
    trips["payment_type"] = rng.choice([1.0, 2.0], rows, p=[0.7, 0.3]).astype("float32")
    trips["trip_distance"] = rng.gamma(2, 2, rows)
    label = rng.random(rows) < np.where(trips["payment_type"] == 1, 0.6, 0.05)
    trips["tip_amount"] = np.where(label, 5.0, 0.0)
    features = featurize.featurize(trips, TLC)
    probability = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1).astype(np.float32)
    split = np.select(
        [features["pickup_at"] < v for v in ("2023-01-11", "2023-01-21")], ["train", "validation"], "test"
    )
    frame = features[["trip_id", "pickup_at", "PULocationID", "DOLocationID"]].assign(
        probability=probability,
        high_tip=label,
        split=pd.Series(split, dtype="str"),
        model_version=pd.Series(["v1"] * rows, dtype="str"),
    )
    return TLC.table(SCORES).validate(frame[TLC.table(SCORES).names]), features


def tallies_of(scores, features, threshold=0.5, **options):
    """Return the metric histograms of predictions at a threshold."""
    return summarize_predictions(postprocess(scores, threshold, TLC), features, ENCODING, **options)
