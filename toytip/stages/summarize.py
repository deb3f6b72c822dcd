"""summary: `predictions`, with the `features` they were made of -> tallies by split, card, day and slice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import Float32Array
from toytip.core.model import Encoding
from toytip.core.splits import CARD_PAYMENT_TYPE, SPLITS, split_codes
from toytip.core.tlc import ZONE_ID_COUNT
from toytip.evaluation.tally import LOSS_SCALE, PROBABILITY_BINS, SLICE_BINS, Tallies, Tally, TallyKey

# A probability of exactly 0 or 1 would make the log loss infinite; the clip is scikit-learn's for float32.
PROBABILITY_EPSILON = float(np.finfo(np.float32).eps)
# Miles; the last band is open.
DISTANCE_EDGES_MILES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
# Newark, JFK and LaGuardia, by the TLC's zone table.
AIRPORT_ZONES = (1, 132, 138)


def summarize_predictions(
    predictions: pd.DataFrame,
    features: pd.DataFrame,
    encoding: Encoding,
    boroughs: tuple[str, ...] = (),
    predictor: str = "model",
) -> Tallies:
    """Return the tallies of every split, of card trips and the others apart.

    Each has the model's tally and that of the rates by hour and zone, in fine bins; and the model's tallies by day and
    slice, in coarse ones. `boroughs` are named by zone, where the zone table is known. Another `predictor` than the model
    goes without the rates, which are there already.
    """
    if predictions.empty:
        return {}
    chance, label = predictions["probability"].to_numpy(), predictions["high_tip"].to_numpy()
    decided = predictions["prediction"].to_numpy()
    rate = encoding.hour_zone_rate(features["pickup_hour"].to_numpy(), features["PULocationID"].to_numpy())
    split = split_codes(features, encoding.split, "all")
    card = (features["payment_type"] == CARD_PAYMENT_TYPE).to_numpy()
    named = dict(_slice_codes(features, boroughs))
    summary: Tallies = {}
    for place, paid in product(range(len(SPLITS)), (False, True)):
        rows = np.flatnonzero((split == place) & (card == paid))
        if not len(rows):
            continue
        name = SPLITS[place]
        losses = _row_losses(chance[rows], label[rows])
        columns = chance[rows], label[rows], decided[rows], *losses
        whole = np.zeros(len(rows), np.int64)
        summary[TallyKey(name, paid, predictor)] = _count_tallies(whole, 1, PROBABILITY_BINS, *columns)[0]
        if predictor == "model":
            rated = rate[rows]
            columns_rated = rated, label[rows], rated >= 0.5, *_row_losses(rated, label[rows])
            summary[TallyKey(name, paid, "hour_zone")] = _count_tallies(
                whole, 1, PROBABILITY_BINS, *columns_rated
            )[0]
        for slice_, (codes, values) in named.items():
            for value, tally in zip(
                values, _count_tallies(codes[rows], len(values), SLICE_BINS, *columns), strict=True
            ):
                if tally.rows:
                    summary[TallyKey(name, paid, predictor, slice_, value)] = tally
    return summary


def _row_losses(
    chance: Float32Array, label: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    exact = chance.astype(np.float64)
    clipped = np.clip(exact, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
    log_loss = -np.log(np.where(label, clipped, 1 - clipped))
    return tuple(np.rint(part * LOSS_SCALE).astype(np.int64) for part in (log_loss, (exact - label) ** 2))  # type: ignore[return-value]


def _count_tallies(
    codes: npt.NDArray[np.int64],
    count: int,
    bins: int,
    chance: Float32Array,
    label: npt.NDArray[np.bool_],
    decided: npt.NDArray[np.bool_],
    log_loss: npt.NDArray[np.int64],
    squared: npt.NDArray[np.int64],
) -> list[Tally]:
    """Count rows by their code, 0 to `count` - 1, and bin."""
    side = codes * 2 + label
    place = codes * bins + np.minimum((chance * bins).astype(np.int64), bins - 1)
    by_bin = np.bincount(place * 2 + label, minlength=count * bins * 2).reshape(count, bins, 2)
    by_side = np.bincount(side * 2 + decided, minlength=count * 4).reshape(count, 2, 2)
    losses, squares = np.zeros(2 * count, np.int64), np.zeros(count, np.int64)
    np.add.at(losses, side, log_loss)
    np.add.at(squares, codes, squared)
    return [
        Tally(
            by_bin[k, :, 0], by_bin[k, :, 1], int(by_side[k, 1, 1]), int(by_side[k, 0, 1]),
            int(losses[2 * k] + losses[2 * k + 1]), int(squares[k]), int(losses[2 * k + 1]),
        )
        for k in range(count)
    ]  # fmt: skip


def _slice_codes(
    features: pd.DataFrame, boroughs: tuple[str, ...]
) -> Iterator[tuple[str, tuple[npt.NDArray[np.int64], list[str]]]]:
    """Yield each slice with the code of every row, and the names of the codes."""
    day = features["pickup_at"].to_numpy().astype("datetime64[D]")
    distance = np.digitize(features["trip_distance"], DISTANCE_EDGES_MILES[1:])
    bands = [f"{a:g}-{b:g} miles" for a, b in pairwise(DISTANCE_EDGES_MILES)]
    bands.append(f"{DISTANCE_EDGES_MILES[-1]:g} miles or more")
    there = np.isin(np.arange(ZONE_ID_COUNT), AIRPORT_ZONES)
    pickup, dropoff = (
        features[name].clip(0, ZONE_ID_COUNT - 1).to_numpy() for name in ("PULocationID", "DOLocationID")
    )
    codes, days = pd.factorize(day)
    yield "day", (codes.astype(np.int64), np.datetime_as_string(days, "D").tolist())
    yield "distance", (distance.astype(np.int64), bands)
    yield "airport", ((there[pickup] | there[dropoff]).astype(np.int64), ["no", "yes"])
    for name, column in {
        "hour": "pickup_hour",
        "weekday": "pickup_weekday",
        "payment_type": "payment_type",
        "rate_code": "RatecodeID",
        "vendor": "VendorID",
    }.items():
        yield name, _factorize(features[column])
    if boroughs:
        zone = features["PULocationID"].clip(0, len(boroughs) - 1).to_numpy()
        yield "borough", _factorize(pd.Series(np.array(boroughs, dtype=object)[zone]))


def _factorize(column: pd.Series) -> tuple[npt.NDArray[np.int64], list[str]]:
    codes, values = pd.factorize(column, sort=True, use_na_sentinel=False)
    names = ["missing" if pd.isna(value) else _value_text(value) for value in values]
    return codes.astype(np.int64), names


def _value_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
