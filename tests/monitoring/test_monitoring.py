"""monitor: profiles merge exactly, effect sizes are right, and of planted drifts the right one is named; the rest is silence."""

import json
from dataclasses import asdict, replace
from functools import reduce
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.conftest import make_trips, parse_summary, run_toytip
from tests.stages.test_properties import cuts, kept, some_trips
from toytip.core.model import TrainedModel
from toytip.core.months import parse_months
from toytip.core.parameters import AlertThresholds
from toytip.core.partitions import SourcePartition
from toytip.core.splits import plan_split
from toytip.core.tables import FEATURE_HISTOGRAMS
from toytip.evaluation.tally import (
    LOSS_SCALE,
    Tally,
    combine_tallies,
    daily_tallies_by_payment,
    tallies_from_parquet,
    tallies_to_parquet,
)
from toytip.monitoring import attribution, cbpe, effect_sizes
from toytip.monitoring import drift as drifts
from toytip.monitoring.alerts import Measurement, find_alerts
from toytip.monitoring.comparison import monitoring_json, run_monitoring
from toytip.monitoring.plan import plan_monitoring
from toytip.report.facts import Facts
from toytip.report.sections import data as sections_data
from toytip.sources.synthetic import SyntheticSpec, generate_month
from toytip.stages import clean, conform, featurize, infer, postprocess, preprocess, profile
from toytip.stages.summarize import summarize_predictions
from toytip.training import boosting

counts = st.lists(st.integers(0, 10**6), min_size=2, max_size=30).filter(any).map(np.array)


# profiles


@settings(max_examples=40, deadline=None)
@given(some_trips, cuts)
def test_profiles_merge_exactly(trips, at):
    features = featurize.featurize(kept(trips))
    edges = [0, *sorted(min(point, len(features)) for point in [*at, 3, 9][:2]), len(features)]
    a, b, c = (profile.profile(features.iloc[i:j].reset_index(drop=True)) for i, j in pairwise(edges))
    whole = profile.profile(features)
    for merged in (
        [profile.merge_profiles([a, b]), c], [a, profile.merge_profiles([b, c])], [c, b, a], [whole, FEATURE_HISTOGRAMS.empty()], [FEATURE_HISTOGRAMS.empty(), whole],
    ):  # fmt: skip
        pd.testing.assert_frame_equal(profile.merge_profiles(merged), whole)
    pd.testing.assert_frame_equal(profile.merge_profiles([]), FEATURE_HISTOGRAMS.empty())
    if len(features):
        assert (whole.groupby("feature")["trips"].sum() == len(features)).all()


def test_a_profile_tells_values_missing_ones_and_means():
    rows = [{"passenger_count": None}, {"passenger_count": 3}, {"payment_type": 2}, {"fare_amount": 1e12}]
    found = profile.profile(featurize.featurize(kept(make_trips(*rows, {"PULocationID": 263}))))
    of = dict(tuple(found.groupby("feature")))
    told = of["passenger_count"].sort_values(["card", "value"]).to_numpy(object).tolist()
    assert [row[1:4] for row in told[:2]] == [[False, 1.0, 1], [True, 1.0, 2]]
    assert of["passenger_count"]["value"].isna().sum() == 1
    assert set(of["PULocationID"]["value"]) == {74.0, 263.0}
    assert of["airport_fee"]["value"].isna().all()
    # A fare of 10^12 counts as a million in the sum.
    assert of["fare_amount"]["total"].sum() == (4 * 10 + 2**20) * 1024


def test_no_trips_have_an_empty_profile():
    pd.testing.assert_frame_equal(
        profile.profile(featurize.FEATURES_SCHEMA.empty()), FEATURE_HISTOGRAMS.empty()
    )


# effect sizes


@given(counts, st.data())
def test_effect_sizes_are_those_of_scipy(expected, data):
    actual = np.array(
        data.draw(st.lists(st.integers(0, 10**6), min_size=len(expected), max_size=len(expected)).filter(any))
    )
    values = np.sort(np.random.default_rng(1).normal(size=len(expected)))
    found = effect_sizes.wasserstein(values, expected, actual)
    assert found == pytest.approx(stats.wasserstein_distance(values, values, expected, actual), abs=1e-9)
    gap = np.abs(np.cumsum(expected) / expected.sum() - np.cumsum(actual) / actual.sum()).max()
    assert effect_sizes.ks(expected, actual) == pytest.approx(gap)
    assert effect_sizes.psi(expected, actual) == pytest.approx(effect_sizes.psi(actual, expected))
    assert effect_sizes.psi(expected, expected) == 0 <= effect_sizes.psi(expected, actual)


@given(counts)
def test_effect_sizes_do_not_grow_with_the_rows(expected):
    moved = expected[::-1]
    values = np.arange(len(expected)).astype(float)
    for size in (effect_sizes.ks, lambda a, b: effect_sizes.wasserstein(values, a, b)):
        assert size(expected, moved) == pytest.approx(size(100 * expected, 100 * moved))


def test_the_index_of_known_shares():
    wanted = (0.5 - 0.75) * np.log(0.5 / 0.75) + (0.5 - 0.25) * np.log(0.5 / 0.25)
    assert effect_sizes.psi(
        np.array([7_500_000, 2_500_000]), np.array([5_000_000, 5_000_000])
    ) == pytest.approx(wanted, rel=1e-4)


def test_groups_are_even_and_rare_categories_one():
    expected, _ = effect_sizes.quantile_groups(np.full(100, 10), np.full(100, 10))
    assert expected.tolist() == [100] * 10
    tolls, _ = effect_sizes.quantile_groups(np.array([950, *[1] * 50]), np.array([950, *[1] * 50]))
    assert tolls.tolist() == [950, 50]
    rare, seen = effect_sizes.merge_rare(np.array([500, 494, 3, 3, 0]), np.array([1, 2, 3, 4, 5]))
    assert (rare.tolist(), seen.tolist()) == ([6, 500, 494], [12, 1, 2])


def test_one_mistyped_fare_is_no_drift():
    values, reference = np.array([5.0, 10, 20, 30, 1e6]), np.array([30, 40, 20, 10, 0])
    reached, wide = effect_sizes.clip_outliers(values, reference)
    assert (
        effect_sizes.wasserstein(reached, 1000 * reference, 1000 * reference + [0, 0, 0, 0, 1]) / wide < 0.001
    )


# tallies, estimates, parts


def tally_of(chance, label, threshold=0.5, bins=2**9):
    place = np.minimum((chance * bins).astype(int), bins - 1)
    sides = [np.bincount(place[label == side], minlength=bins) for side in (False, True)]
    decided = chance >= threshold
    loss = -np.log(np.where(label, chance, 1 - chance))
    units = [
        round(float(part) * LOSS_SCALE)
        for part in (loss.sum(), ((chance - label) ** 2).sum(), loss[label].sum())
    ]
    return Tally(*sides, int((decided & label).sum()), int((decided & ~label).sum()), *units)


def test_an_estimate_without_labels_is_what_happens_where_probabilities_hold():
    rng = np.random.default_rng(3)
    truth = rng.beta(2, 2, 200_000)
    said = truth**1.5  # the model is not calibrated, and its threshold stands in the middle of a bin
    label = rng.random(len(truth)) < truth
    share = cbpe.fit_calibration(tally_of(said[:100_000], label[:100_000], 0.4003))
    harder = np.flatnonzero(truth[100_000:] < 0.7) + 100_000
    now = tally_of(said[harder], label[harder], 0.4003)
    estimated = cbpe.estimate_metrics(now, share)
    from toytip.evaluation.metrics import compute_metrics

    realised = compute_metrics(now)
    for name in ("prevalence", "auc", "f1", "log_loss"):
        assert estimated[name] == pytest.approx(realised[name], abs=0.01), name
    blind = replace(now, negatives=now.negatives + now.positives, positives=0 * now.positives)
    assert cbpe.estimate_metrics(blind, share)["f1"] == estimated["f1"], "it looks at no label"
    assert cbpe.fit_calibration(Tally.empty()) is None


share = st.floats(0.05, 0.95)


def kind(rows, tip, hit, alarm, loss):
    yes = round(tip * rows)
    sides = np.zeros((2, 2**9), np.int64)
    sides[:, 0] = rows - yes, yes
    losses = round(loss * yes * LOSS_SCALE), round(loss / 2 * (rows - yes) * LOSS_SCALE)
    return Tally(*sides, round(hit * yes), round(alarm * (rows - yes)), sum(losses), 0, losses[0])


@given(*[share] * 10)
def test_the_three_parts_add_up(
    card, later, tip, later_tip, hit, later_hit, alarm, cash_alarm, loss, later_loss
):
    n = 10**6

    def side(card, tip, hit, loss):
        cards = round(card * n)
        return kind(cards, tip, hit, alarm, loss), kind(n - cards, 0, 0, cash_alarm, loss)

    then, now = side(card, tip, hit, loss), side(later, later_tip, later_hit, later_loss)
    prevalence, f1, log_loss = attribution.attribute_change(then, now)
    for found in (prevalence, f1, log_loss):
        assert found.card_share + found.tip_share + found.skill == pytest.approx(found.whole, abs=1e-9)
    assert prevalence.skill == pytest.approx(0, abs=1e-12)
    two = attribution.f1_and_log_loss_changes(then[0].merge(then[1]), now[0].merge(now[1]))
    assert [f1.whole, log_loss.whole] == pytest.approx([two[0].whole, two[1].whole], abs=1e-9)


def test_each_part_alone_is_named_alone():
    def side(cards=700_000, tip=0.8, hit=0.9):
        return kind(cards, tip, hit, 0.5, 0.4), kind(1_000_000 - cards, 0.0, 0.0, 0.3, 0.4)

    for change, part in (
        ({"cards": 500_000}, "card_share"),
        ({"tip": 0.7}, "tip_share"),
        ({"hit": 0.7}, "skill"),
    ):
        _, f1, _ = attribution.attribute_change(side(), side(**change))
        assert getattr(f1, part) == pytest.approx(f1.whole)
        assert f1.whole < -0.02
    assert attribution.attribute_change(side(), (Tally.empty(2**9), Tally.empty(2**9))) == (None, None, None)


# the rule


def read(month, effect, bound=1.0, name="x"):
    return Measurement(
        month=f"2023-{month:02d}",
        kind="drift",
        name=name,
        measure="psi",
        value=effect,
        effect=effect,
        bound=bound,
    )


@pytest.mark.parametrize(
    ("told", "rings"),
    [
        ([0, 0, 2, 0], []),  # one odd month
        ([0, 2, 2, 0], [3]),  # and over: not in the latest
        ([0, 2, 0, 2], [4]),
        ([2, 0, 0, 2], [1]),  # of one month that is there, all are beyond
        ([2, 2, 2, 2], [1, 2, 3, 4]),
        ([1.0, 1.0, 1.0], []),  # the bound itself may be reached
    ],
)
def test_the_rule(told, rings):
    readings = [read(month, effect) for month, effect in enumerate(told, 1)]
    found = find_alerts(
        [*readings, *(replace(each, bound=None, name="y") for each in readings)], AlertThresholds()
    )
    assert [alert.measurement.month for alert in found] == [f"2023-{month:02d}" for month in rings]
    assert {alert.measurement.name for alert in found} <= {"x"}


def test_a_band_is_as_wide_as_the_reference_asks():
    narrow = drifts.reference_range([0.02])
    assert (narrow.low, narrow.high) == pytest.approx((0.01, 0.03))
    assert narrow.distance_outside(0.035) == pytest.approx(0.005)
    assert narrow.distance_outside(0.015) == 0
    assert drifts.reference_range([0.1, 0.2, 0.3]).distance_outside(0.45) == 0
    assert drifts.reference_range([0.0, 0.0]).distance_outside(0.009) == 0


# planted drifts

YEAR = parse_months("2021-01:2021-12")
# A year to watch after the four months to learn from, and to compare with.
LONG = parse_months("2021-01:2022-04")
LEARN = YEAR[:4]
ROWS = 20_000


def features_of(month, recipe):
    table = generate_month(month, recipe)
    part = SourcePartition(taxi="yellow", month=month, uri="synth", start=0, stop=len(table), number=0)
    trips, rejects = clean.clean(conform.conform(table, part))
    return featurize.featurize(trips), len(table), clean.count_reasons(rejects)


def told_of(model, month, recipe):
    """Return the summary, profile and reject rates of a month, as the tasks of a run make them."""
    features, read_, rejects = features_of(month, recipe)
    codes = preprocess.encode(features, model.encoding)
    predictions = postprocess.postprocess(infer.infer(features, codes, model), model.threshold)
    rates = {reason: count / read_ for reason, count in rejects.items()}
    return summarize_predictions(predictions, features, model.encoding), profile.profile(features), rates


@pytest.fixture(scope="module")
def steady():
    return SyntheticSpec(rows_per_month=ROWS, seed=11, drift=False)


def learned_on(steady, names):
    split = plan_split(LONG, "2021-01:2021-03", "2021-04", "2021-05:2022-04")
    features = [features_of(month, steady)[0] for month in LEARN]
    taken = [preprocess.count_values(each, names, split, "all") for each in features]
    encoding = preprocess.fit_encoding(reduce(preprocess.ValueCounts.merge, taken), split, "all")
    parts = [(preprocess.encode(each, encoding), None) for each in features[:3]]
    label = np.concatenate([each["high_tip"].to_numpy() for each in features[:3]])
    positive = encoding.positives / encoding.rows
    params = boosting.xgboost_params({"max_depth": 6, "eta": 0.2}, encoding.max_bin, positive)
    matrix = boosting.build_matrix(parts, encoding.bin_counts, 2)
    booster, _ = boosting.boost(matrix, label, None, params, rounds=40, threads=2)
    return TrainedModel(
        version="v1", booster=boosting.model_bytes(booster, 40), encoding=encoding, rounds=40, threshold=0.45
    )


@pytest.fixture(scope="module")
def model(steady):
    return learned_on(steady, featurize.feature_set("payment"))


def watched(model, told, months=YEAR, bounds=None, **asked):
    planned = plan_monitoring(model, months, **asked)
    summary = reduce(combine_tallies, (told[month][0] for month in months))
    profiles, rejects = ({month: told[month][k] for month in months} for k in (1, 2))
    return run_monitoring(model, planned, bounds or AlertThresholds(), summary, profiles, rejects)


@pytest.fixture(scope="module")
def calm(model, steady):
    return {month: told_of(model, month, steady) for month in YEAR}


def test_nothing_rings_in_a_steady_year(model, calm):
    found = watched(model, calm)
    assert found.all_alerts == []
    assert [str(month) for month in found.plan.feature_reference] == ["2021-01", "2021-02", "2021-03"]
    assert [str(month) for month in found.plan.performance_reference] == ["2021-04"]
    assert len(found.plan.months) == 9


def planted(model, calm, steady, plant):
    """The last three months have a drift planted in them."""
    told = dict(calm)
    for month in YEAR[-3:]:
        told[month] = told_of(model, month, replace(steady, injected_drift=plant))
    return watched(model, told)


def named(found):
    return {(alert.reading.kind, alert.reading.name) for alert in found.ringing}


def page_of(found):
    """What the page says of it: the caption of F1 day by day, the paragraphs, and the tables."""
    facts = Facts(
        version="v1", created_at="2026-01-01T00:00:00+00:00", store="s", env="dev", monthly_psi=found.psi,
        monitoring=monitoring_json(found), exceeded_measurements=[asdict(each) for each in found.readings if each.beyond],
    )  # fmt: skip
    blocks = sections_data.drift_section(facts).blocks
    of = {kind: [block for block in blocks if block.kind == kind] for kind in ("text", "table")}
    tables = {
        table.caption.partition(",")[0]: [
            [getattr(cell, "text", cell) for cell in row] for row in (table.header, *table.rows)
        ]
        for table in of["table"]
    }
    return blocks[0].pictures[0].caption, " ".join(block.text for block in of["text"]), tables


def test_a_feature_that_shifted_is_named(model, calm, steady):
    found = planted(model, calm, steady, "distance")
    rings = named(found)
    # The speed is made of the distance, and has shifted with it; the model hardly looks at it.
    assert ("drift", "trip_distance") in rings
    assert {name for kind, name in rings if kind == "drift"} <= {"trip_distance", "trip_speed"}
    assert {each.feature for each in found.drift["2021-12"] if (each.psi or 0) > 0.1} == {
        "trip_distance", "trip_speed",
    }  # fmt: skip
    assert not any(kind in ("share", "missing") for kind, _ in rings)
    told = {each.feature: each for each in found.drift["2021-12"]}["trip_distance"]
    assert told.mean / told.reference_mean == pytest.approx(1.609, rel=0.03)


def test_another_card_share_is_named_and_is_no_lost_skill(model, calm, steady):
    found = planted(model, calm, steady, "card")
    assert named(found) == {("drift", "payment_type"), ("share", "card")}
    says = page_of(found)[0]
    assert says.startswith(
        "2 alerts ring in 2021-12, not for lost skill. Where F1 falls along with always yes"
    )
    last = found.performance[-1]
    assert last.card_share / found.reference.card_share == pytest.approx(0.7, abs=0.02)
    assert last.prevalence.card_share < 10 * -abs(last.prevalence.tip_share)


def test_a_lost_skill_is_named_and_nothing_else(model, calm, steady):
    found = planted(model, calm, steady, "skill")
    rings = named(found)
    assert rings
    assert {kind for kind, _ in rings} == {"skill"}
    assert ("skill", "auc") in rings
    last = found.performance[-1]
    assert last.metrics["prevalence"] == pytest.approx(found.reference.metrics["prevalence"], abs=0.02)
    assert last.card_auc == pytest.approx(0.5, abs=0.02)
    says, _, tables = page_of(found)
    assert "skill was lost, by" in says
    assert "AUC of card trips" in says
    head, *rows = tables["The model by month"]
    shown = dict(zip(head, rows[-1], strict=True))
    assert shown["AUC card"] == f"{last.card_auc:.4f}"
    assert shown["expected F1"] == f"{last.estimated['f1']:.4f}"
    assert shown["log loss by skill"] == f"{last.log_loss.skill:+.4f}"
    ((_, reference, bound, *months),) = [
        row for row in tables["All that is beyond its bound"] if row[0] == "skill lost (AUC)"
    ]
    assert (reference, bound, months[-1]) == (f"{found.reference.card_auc:.4f}", "0.03", shown["AUC card"])
    # Without labels nobody could know: the estimate sees the same trips as ever.
    assert last.estimated["auc"] - last.metrics["auc"] > 0.01


def test_without_labels_the_estimate_stands_in(model, calm, steady):
    found = watched(model, calm, labels_until="2021-10")
    late = found.performance[-1]
    assert (late.month, late.metrics, late.f1, late.tip_share) == ("2021-12", None, None, None)
    realised = watched(model, calm).performance[-1]
    assert late.estimated == realised.estimated
    assert late.estimated["f1"] == pytest.approx(realised.metrics["f1"], abs=0.015)
    assert max(day["day"] for day in found.days) == "2021-10-31"
    assert not found.all_alerts
    says, text, _ = page_of(found)
    assert says.startswith("Nothing rings in 2021-12, where lost skill cannot be told.")
    assert text == "Nothing is beyond its bound in any month."


def test_the_year_as_it_was_made_drifts(model, calm):
    told = {**calm, **{m: told_of(model, m, SyntheticSpec(rows_per_month=ROWS, seed=11)) for m in YEAR[3:7]}}
    found = watched(model, told, months=YEAR[:7])
    assert {("share", "card"), ("missing", "passenger_count")} <= {
        (alert.measurement.kind, alert.measurement.name) for alert in found.all_alerts
    }
    _, text, tables = page_of(found)
    (row,) = [
        row for row in tables["All that is beyond its bound"] if row[0] == "missing values of passenger_count"
    ]
    rates = {
        each.month: each.value
        for each in found.measurements
        if (each.kind, each.name) == ("missing", "passenger_count") and each.exceeded
    }
    assert row[2] == "its band"
    assert [cell for cell in row[3:] if cell] == [f"{rate:.4f}" for rate in rates.values()]
    assert text.startswith("Rang before: ")
    assert "missing values of passenger_count in 2021-04, 2021-05" in text


def test_what_is_asked_for_must_be_there(model, calm):
    from toytip.errors import ConfigError

    with pytest.raises(ConfigError, match="2022-03 is not among the months that the model has scored"):
        plan_monitoring(model, YEAR, months="2021-12,2022-03")
    assert plan_monitoring(model, YEAR[:3]) is None
    for line, there, asked in (
        ("none differs from itself", YEAR, {"reference": "2021-05", "months": "2021-05"}),
        ("none differs from itself", YEAR[:5], {"reference": "2021-01:2021-05"}),
        ("the reference, 2021-04, needs its labels", YEAR, {"labels_until": "2021-03"}),
        ("name --reference", YEAR[3:], {}),
    ):
        with pytest.raises(ConfigError, match=line):
            plan_monitoring(model, there, **asked)
    assert plan_monitoring(model, YEAR, months="2021-02:2021-05").warnings == (
        "the model has learned from 2021-02 to 2021-03: its skill there is flattering",
    )
    partly = plan_monitoring(model, YEAR, reference="2021-05", months="2021-05:2021-06")
    assert partly.warnings == ("2021-05 is in the reference too, and moves less beside itself",)
    flattering = plan_monitoring(model, YEAR, reference="2021-01:2021-02")
    assert flattering.warnings
    assert YEAR[0] not in flattering.months


def test_a_summary_survives_the_disk(calm):
    summary = calm[YEAR[0]][0]
    content = tallies_to_parquet(summary)
    assert tallies_from_parquet(content) == summary
    assert tallies_to_parquet(dict(reversed(summary.items()))) == content
    days = daily_tallies_by_payment(summary)
    assert len(days) == 31
    assert sum(card.rows + other.rows for card, other in days.values()) == sum(
        tally.rows for cell, tally in summary.items() if not cell.slice and cell.predictor == "model"
    )


# a hundred times the rows


def grown(model, month, times):
    """Return what a month of `times` as many trips leaves: pieces of their own seeds, merged as those of a run are."""
    pieces = (
        told_of(model, month, SyntheticSpec(rows_per_month=ROWS, seed=100 + k, drift=False))
        for k in range(times)
    )
    summary, told, rejects = {}, [], []
    for each in pieces:
        summary = combine_tallies(summary, each[0])
        told.append(each[1])
        rejects.append(each[2])
        if len(told) > 8:
            told = [profile.merge_profiles(told)]
    rates = {reason: sum(each.get(reason, 0) for each in rejects) / times for reason in rejects[0]}
    return summary, profile.merge_profiles(told), rates


def significant(found, profiles):
    """Return how many features differ from the reference by a test, of those that drift is told of."""
    reference = profile.merge_profiles(profiles[month] for month in found.plan.features)
    last = profiles[found.plan.months[-1]]
    small = 0
    for name in found.gains:
        sides = [each[each["feature"] == name].groupby("value")["trips"].sum() for each in (reference, last)]
        table = pd.concat(sides, axis=1).fillna(0).to_numpy()
        table = table[table.sum(axis=1) >= 10]
        small += len(table) > 1 and stats.chi2_contingency(table).pvalue < 0.001
    return small


def silent_at(model, times, months=YEAR):
    told = {month: grown(model, month, times) for month in months}
    found = watched(model, told, months)
    assert found.all_alerts == []
    rows = sum(performance.rows for performance in found.performance)
    assert rows > 0.9 * times * ROWS * (len(months) - len(LEARN)) * 0.9
    return found, {month: each[1] for month, each in told.items()}


def largest(found):
    """Return the largest index of any feature but those of the calendar: months differ by their Mondays, for good."""
    calendar = ("pickup_weekday", "work_hours", "pickup_hour")
    return max(r.effect for r in found.readings if r.measure == "psi" and r.name not in calendar)


def test_more_rows_make_the_silence_deeper(model, calm):
    found, _ = silent_at(model, 4)
    assert largest(found) < largest(watched(model, calm)) / 2


@pytest.mark.volume
@pytest.mark.timeout(1800)
def test_nothing_rings_at_a_hundred_times_the_rows(model):
    found, profiles = silent_at(model, 100, LONG)
    assert len(found.performance) == 12
    assert largest(found) < 0.001
    # Significance is another matter: the calendar alone makes some p-values as good as zero.
    assert significant(found, profiles) > 2


# the command line


@pytest.fixture(scope="module")
def done(synthetic, tmp_path_factory):
    store = tmp_path_factory.mktemp("monitor") / "store"
    args = ("--source", synthetic, "--store", store, "--workers", 2, "--rounds", 20, "--json")
    return store, parse_summary(run_toytip("run", *args))


@pytest.mark.cluster
def test_a_run_monitors_its_months(done):
    _, summary = done
    told = summary["monitor"]
    assert told["months"] == ["2020-03", "2020-04"]
    assert (told["reference"], told["reference_of_skill"]) == (["2020-01", "2020-02"], ["2020-03"])
    assert ("share", "card") in {(alert["kind"], alert["name"]) for alert in told["alerts"]}
    assert {"profiles", "tallies", "monitors"} <= set(summary["tables"])
    # What is told of the test month is what the run says itself.
    realised = told["performance"][-1]["metrics"]
    wanted = summary["metrics"]["test"]
    for name, tolerance in (("f1", 0), ("rows", 0), ("log_loss", 1e-12), ("auc", 1e-3)):
        assert realised[name] == pytest.approx(wanted[name], abs=tolerance)


@pytest.mark.cluster
def test_monitor_rings_by_its_exit_code_and_keeps_a_history(done, invoke_cli):
    store, summary = done
    rung = invoke_cli("monitor", "--store", store, "--json")
    assert rung.returncode == 3, rung.stderr
    told = json.loads(rung.stdout)
    # The run was asked nothing, and so was this: all is the same but for where it is kept.
    assert {k: v for k, v in told.items() if k not in ("version", "files")} == summary["monitor"]
    assert json.loads(Path(told["files"]["json"]).read_text())["alerts"] == told["alerts"]
    picture = Path(told["files"]["png"]).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
    calm = invoke_cli(
        "monitor", "--store", store, "--reference", "2020-01", "--months", "2020-02", "--dry-run"
    )
    assert calm.returncode == 0, calm.stderr
    assert "nothing rings in 2020-02" in calm.stdout
    assert "its skill there is flattering" in calm.stdout
    history = json.loads(invoke_cli("versions", "--store", store, "--json").stdout)["versions"]
    kept_ = [row["version"] for row in history if row["table"] == "monitors"]
    assert kept_ == [summary["version"], told["version"]], "a dry run keeps nothing"
    files = f"{store}/dev/monitors/*/*/*/*.parquet"
    rows = duckdb.sql(
        f"select version, month, name from read_parquet('{files}', hive_partitioning=true) "
        "where alert and kind = 'share' and name = 'card' order by version"
    ).fetchall()
    assert rows == [(version, 4, "card") for version in kept_]


@pytest.mark.cluster
def test_monitor_in_words(done, invoke_cli):
    store, summary = done
    said = invoke_cli("monitor", "--store", store, "--model", summary["model"]["version"], "--dry-run")
    assert said.returncode == 3
    assert "share of card" in said.stdout
    assert "by card share" in said.stdout
    assert "payment_type" in said.stdout
    late = invoke_cli("monitor", "--store", store, "--labels-until", "2020-03", "--dry-run", "--json")
    last = json.loads(late.stdout)["performance"][-1]
    assert last["metrics"] is None
    assert last["estimated"]["f1"] > 0.5


@pytest.mark.cluster
def test_what_cannot_be_monitored_is_said_in_a_line(done, invoke_cli, tmp_path):
    store, _ = done
    for args, line in (
        (("--store", tmp_path / "none"), "no version of models"),
        (("--store", store, "--months", "2021-01"), "2021-01 is not among the months"),
        (("--store", store, "--model", "v9"), "v9"),
    ):
        refused = invoke_cli("monitor", *args)
        assert refused.returncode == 1
        assert line in refused.stderr
        assert refused.stderr.count("\n") == 1


@pytest.mark.cluster
def test_the_profiles_add_up_to_the_trips(done):
    _, summary = done
    path = summary["tables"]["profiles"]["path"]
    found = duckdb.sql(
        f"select feature, sum(trips) from read_parquet('{path}/*/*/*.parquet') group by feature"
    ).fetchall()
    assert {trips for _, trips in found} == {summary["rows"]["kept"]}
    assert {name for name, _ in found} == {each.name for each in featurize.FEATURES}
    mean = duckdb.sql(
        f"""select (select sum(total) / 1024 / sum(trips) from read_parquet('{path}/*/*/*.parquet') where feature = 'fare_amount')
                 - (select avg(fare_amount) from read_parquet('{summary["tables"]["features"]["path"]}/*/*/*.parquet'))"""
    ).fetchall()[0][0]
    assert mean == pytest.approx(0, abs=0.002)
