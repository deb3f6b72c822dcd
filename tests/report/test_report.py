"""The report: curves, warnings, failing sections, and the reports of real runs."""

import json
import math
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import reduce
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from tests.support.evaluations import auc_improvement, segment_report, slice_metrics
from tests.support.results import RUN_RESULT
from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import publish_trips
from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.model import FeatureEncoding
from toytip.core.parameters import AlertThresholds
from toytip.core.tables import FEATURE_HISTOGRAMS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.zones import ZONE_ID_COUNT
from toytip.errors import SourceError
from toytip.evaluation.gate import Decision
from toytip.evaluation.report import CalibrationBin, Interval
from toytip.evaluation.tally import PROBABILITY_BINS, Tally
from toytip.monitoring.alerts import Alert
from toytip.monitoring.cbpe import EstimatedMetrics
from toytip.monitoring.drift import FeatureHistogram
from toytip.monitoring.report import DayPerformance, MonitoringReport, MonthPerformance, PeriodMetrics
from toytip.pipeline.reporting.explain import bin_values
from toytip.pipeline.reporting.facts import collect_facts
from toytip.pipeline.reporting.pages import render_version_page
from toytip.report import curves, diff_page, formatting, page
from toytip.report import facts as report_facts
from toytip.report.blocks import MissingBlock, WarningsBlock
from toytip.report.charts import daily, model, svg
from toytip.report.charts import data as charts_data
from toytip.report.facts import Facts, FeatureImportance, MonthRows, ZoneSummary
from toytip.report.findings import collect_findings
from toytip.report.sections import diff
from toytip.report.sections import model as sections_model
from toytip.report.sections.order import build_sections
from toytip.report.sections.run import rows_section
from toytip.report.zones import summarize_zones
from toytip.sources import zones
from toytip.stages.target_encoding import pack_counts
from toytip.store.maintenance import collect_garbage, find_garbage
from toytip.store.manifest import SourceFileRef
from toytip.store.reports import save_report
from toytip.store.store import Store

NOTHING = Facts(version="v1", created_at="2026-01-01T00:00:00+00:00", store="s", env="dev")
STAMP = re.compile(r"#0[1-9a-f](0[1-9a-f])\1", re.IGNORECASE)

SECTION_IDS = [
    "warnings",
    "run",
    "rows",
    "features",
    "training",
    "ranking",
    "metrics",
    "slices",
    "importance",
    "drift",
    "zones",
    "time",
    "lineage",
]


def tally_of(chance, label):
    place = np.minimum((np.asarray(chance) * PROBABILITY_BINS).astype(np.int64), PROBABILITY_BINS - 1)
    sides = [np.bincount(place[np.asarray(label) == y], minlength=PROBABILITY_BINS) for y in (0, 1)]
    return Tally(*sides, 0, 0, 0, 0)


def scored(rows=4_000, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.4
    return np.clip(rng.normal(0.4 + 0.2 * label, 0.15), 0, 0.999), label


class Elements(HTMLParser):
    """The elements of a page, their attributes, and the text without style."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self._silent = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._silent = tag == "style"

    def handle_data(self, data):
        if not self._silent:
            self.text.append(data)

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.found if name in attrs]


def of(facts):
    return page.render_run_page(facts, build_sections(facts))


# The numbers of the charts


def test_the_area_under_the_roc_curve_is_the_auc():
    chance, label = scored()
    x, y = curves.roc_curve(tally_of(chance, label))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert len(x) <= curves.MAX_PICTURE_POINTS + 2
    assert np.trapezoid(y, x) == pytest.approx(sklearn_metrics.roc_auc_score(label, chance), abs=2e-3)


def test_the_precision_recall_curve_agrees_with_scikit_learn():
    chance, label = scored()
    recall, precision = curves.precision_recall_curve(tally_of(chance, label))
    wanted = sklearn_metrics.precision_recall_curve(label, chance)
    for r, p in zip(recall[::10], precision[::10], strict=True):
        near = np.abs(wanted[1] - r) < 2e-3
        assert np.min(np.abs(wanted[0][near] - p)) < 5e-3
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(label.mean())


@pytest.mark.parametrize("label", [0, 1])
def test_equal_labels_have_no_roc_curve(label):
    assert curves.roc_curve(tally_of([0.2, 0.7], [label, label])) is None


def test_the_probability_histogram_counts_every_trip():
    chance, label = scored()
    without, with_ = curves.probability_histogram(tally_of(chance, label))
    assert (sum(without), sum(with_)) == ((~label).sum(), label.sum())


def test_calibration_bins_with_few_trips_are_omitted_if_others_exist():
    told = [
        CalibrationBin(low=0.0, high=1.0, trips=n, predicted=n / 1e3, observed=n / 2e3) for n in (49, 50, 400)
    ]
    assert curves.calibration_curve(told) == ([0.05, 0.4], [0.025, 0.2])
    assert curves.calibration_curve(told[:1]) == ([0.049], [0.0245])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200))
def test_feature_quantiles_agree_with_numpy(values):
    found, counts = np.unique(np.array(values), return_counts=True)
    told = curves.feature_distribution("fare_amount", [FeatureHistogram(found, counts, 0, 0.0)], {})
    wanted = np.quantile(values, curves.DISTRIBUTION_QUANTILES, method="inverted_cdf")
    assert told.quantiles == [pytest.approx(wanted.tolist())]
    assert told.value_range == (min(found), max(found))


NOUGHTS = [[0.0] * 5] * 3
SPREADS = {
    "always 0": (NOUGHTS, (0, 0)),
    "0 for 90 % of trips, between 0 and 65 for all trips": (NOUGHTS, (0, 65)),
    "median 630 in the first month and 586 in the last, 90 % of trips between 150 and 2,100": (
        [[160, 1, 630, 1, 2_100], [150, 1, 600, 1, 1_990], [169, 1, 586, 1, 1_916]],
        (0, 9_999),
    ),
    "median 7, lowest 2 in 2023-02, 90 % of trips between 1 and 9": (
        [[1, 1, m, 1, 9] for m in (7, 2, 7)],
        (0, 9),
    ),
    "median 5 in the first month and 7 in the last, highest 8 in 2023-02, 90 % of trips between 1 and 9": (
        [[1, 1, m, 1, 9] for m in (5, 8, 7)],
        (0, 9),
    ),
    "median 30, 90 % of trips between 1 and 9": ([[1, 1, m, 1, 9] for m in (30, 29, 30)], (0, 9)),
    "median 5 in the first month and 7 in the last, 90 % of trips between 1 and 9": (
        [[1, 1, m, 1, 9] for m in (5, math.nan, 7)],
        (0, 9),
    ),
}


@pytest.mark.parametrize("says", SPREADS)
def test_the_caption_of_a_feature_describes_all_months(says):
    quantiles, ends = SPREADS[says]
    names = ["2023-01", "2023-02", "2023-03"]
    assert (
        charts_data.draw_feature_distribution(
            "a", report_facts.FeatureDistribution("tolls_amount", quantiles, {}, [0] * 3, ends), names
        ).caption
        == says
    )


def test_category_shares_are_relative_to_all_trips():
    months_ = [
        FeatureHistogram(np.array([1.0, 2, 9]), np.array([6, 3, 0]), 1, 0, is_unordered=True),
        FeatureHistogram(np.array([2.0]), np.array([4]), 0, 0, is_unordered=True),
    ]
    told = curves.feature_distribution("payment_type", months_, {"2": "cash", "1": "card"})
    assert told.shares == {"cash": [0.3, 1], "card": [0.6, 0], "9": [0, 0]}
    assert told.missing_shares == [0.1, 0]


@given(st.lists(st.one_of(st.integers(0, 30), st.none()), min_size=1, max_size=300))
def test_shap_groups_have_ordered_values_and_cover_all_trips(values):
    plain = np.array([math.nan if value is None else value for value in values])
    said = np.arange(len(plain), dtype=float)
    told = curves.shap_by_quantile_group(plain, said)
    known = [each for each in told if not math.isnan(each[0])]
    assert len(known) <= 10
    assert all(a[1] < b[0] for a, b in pairwise(known))
    whole = 0.0
    for first, last, mean in told:
        inside = np.isnan(plain) if math.isnan(first) else (plain >= first) & (plain <= last)
        whole += mean * inside.sum()
    if known:
        assert whole == pytest.approx(said.sum())


def test_shap_by_category_lists_the_values_with_the_largest_effects():
    zone = np.repeat([4.0, 7, 68, 90, 93, math.nan], [5, 5, 5, 4, 5, 6])
    said = np.repeat([0.3, -0.2, -0.5, 9, 0.1, 0.34], [5, 5, 5, 4, 5, 6])
    parts = curves.shap_by_category(zone, said)
    assert [(first, round(mean, 3)) for first, _, mean in parts[:4]] == [
        (68, -0.5),
        (7, -0.2),
        (93, 0.1),
        (4, 0.3),
    ]
    assert math.isnan(parts[4][0])
    assert curves.shap_by_category(zone[:3], said[:3]) == [(4.0, 4.0, pytest.approx(0.3))]
    facts = replace(
        NOTHING,
        feature_importance=[
            FeatureImportance("DOLocationID", 1.0, 0.5, parts, is_categorical=True, is_zone=True)
        ],
        explained_trips=30,
        zones=[ZoneSummary(68, "Chelsea", "", 1, 1, 1, 1)],
    )
    (table, *_) = next(section for section in build_sections(facts) if section.id == "importance").blocks
    assert [cell.text for cell in table.rows[0][3:]] == [
        "Chelsea: \N{MINUS SIGN}0.50, 7: \N{MINUS SIGN}0.20",
        "missing or unseen: +0.34, 4: +0.30, 93: +0.10",
    ]


def test_bin_indexes_are_converted_to_values():
    exact = FeatureEncoding(name="a", exact=True, values=(1.0, 4.0))
    np.testing.assert_array_equal(
        bin_values(np.array([0, 1, exact.unseen_bin, exact.missing_bin]), exact), [1, 4, np.nan, np.nan]
    )
    binned = FeatureEncoding(name="a", exact=False, values=(1.0, 4.0))
    np.testing.assert_array_equal(
        bin_values(np.array([0, 1, 2, binned.missing_bin]), binned), [1, 1, 4, np.nan]
    )


# The page


def test_a_report_without_facts_explains_every_missing_section():
    made = list(build_sections(NOTHING))
    assert [section.id for section in made] == SECTION_IDS
    silent = {"warnings", "run"}
    assert all(any(isinstance(b, MissingBlock) for b in s.blocks) for s in made if s.id not in silent)
    assert "failed" not in of(NOTHING)


def test_the_report_states_why_a_section_is_missing():
    text = of(
        replace(
            NOTHING, missing_reasons={"training": "the rounds are lost at sea", "zones": "no <zone> at all"}
        )
    )
    assert "The learning curve is not available: the rounds are lost at sea." in text
    assert "no &lt;zone&gt; at all" in text


def test_a_failed_section_is_one_line():
    text = of(replace(NOTHING, evaluation={"test": {"all": None}}, rows={"2023-01": MonthRows(9, 9, {})}))
    assert text.count("toytip cannot create this section: AttributeError") >= 1
    assert "9 trips read, 9 kept" in text


NASTY = "<script>alert(1)</script>\"'$x^2$ & <img src=x onerror=alert(2)>"


def test_names_are_escaped():
    rows = {"2023-01": MonthRows(9, 8, {NASTY: 1}), "2023-02": MonthRows(9, 9, {})}
    facts = replace(
        NOTHING,
        taxi=NASTY,
        store=NASTY,
        months=["2023-01", "2023-02"],
        rows=rows,
        run_result=None,
        version=NASTY,
        sources=[{"uri": f"{NASTY}/a.parquet", "checksum": "x"}],
        environment={"python": NASTY},
        feature_distributions=[report_facts.FeatureDistribution(NASTY, [[1, 2, 3, 4, 5]] * 2, {}, [0, 0])],
        feature_importance=[FeatureImportance(NASTY, 1.0, 0.5, [(1.0, 2.0, 0.1)])],
        explained_trips=5,
        zones=[ZoneSummary(1, NASTY, NASTY, 10, 5, 5, 0.5)],
        missing_reasons={"drift": NASTY},
    )
    text = of(facts)
    assert "failed" not in text
    told = Elements(text)
    assert {tag for tag, _ in told.found}.isdisjoint({"script", "img", "link", "iframe"} - {"link"})
    assert not [name for _, attrs in told.found for name in attrs if name.startswith("on")]
    assert "".join(told.text).count("<script>alert(1)</script>") >= 8
    assert "$x^2$" in "".join(told.text)


def test_pictures_use_the_colors_of_the_page_and_have_unique_ids_and_names():
    chance, label = scored()
    tally = tally_of(chance, label)
    drawn = [
        model.draw_roc("one", {"a": ("A & B <i>", curves.roc_curve(tally))}, "it rises"),
        model.draw_probabilities("two", tally, "they are apart", "high tip"),
        charts_data.draw_feature_distribution(
            "three",
            report_facts.FeatureDistribution("fare_amount", [[1, 2, 3, 4, 5]], {}, [0.0]),
            ["2023-01"],
        ),
    ]
    ids = []
    for picture in drawn:
        root = ET.fromstring(picture.svg)  # noqa: S314 - our own
        title = root.find("title")
        assert title is not None
        assert (root.get("role"), root.get("aria-labelledby")) == ("img", title.get("id"))
        assert title.text == picture.alt
        assert picture.caption in picture.alt
        assert not STAMP.search(picture.svg)
        assert "var(--a)" in picture.svg
        assert "font-family" not in picture.svg
        ids += [each.get("id") for each in root.iter() if each.get("id")]
        inside = set(re.findall(r'(?:url\(|href=")#([^")]+)', picture.svg))
        assert inside <= set(ids)
    assert len(ids) == len(set(ids))


def test_equal_facts_give_equal_pages():
    rows = {"2023-01": MonthRows(9, 8, {"late": 1})}
    facts = replace(NOTHING, rows=rows)
    assert of(facts) == of(facts)


def test_distance_slices_are_sorted_by_distance():
    values = ["10-20 miles", "2-5 miles", "20 miles or more", "0-1 miles"]
    told = [slice_metrics(slice="distance", value=value) for value in values]
    assert [each.value for each in sorted(told, key=sections_model._slice_sort_key)] == [
        "0-1 miles",
        "2-5 miles",
        "10-20 miles",
        "20 miles or more",
    ]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([0.5, 0.4], "No later round was trained."),
        ([0.5, 0.4, 0.6], "1 later round did not lower this loss."),
    ],
)
def test_the_caption_names_the_best_round(losses, said):
    section = sections_model.training_section(
        replace(NOTHING, learning_curve={"train": losses, "validation": losses}, rounds=2)
    )
    assert (
        section.blocks[0].pictures[0].caption
        == f"Round 2 is the best, with a validation log loss of 0.4000. {said}"
    )


def test_slices_and_calibration_use_the_segment_of_the_model():
    chance, label = scored()
    told = {
        name: segment_report(
            {"slices": (slice_metrics(slice="distance", value=name),), "calibration_error": error}, auc=0.7
        )
        for name, error in (("all", 0.197), ("card", 0.01))
    }
    facts = replace(
        NOTHING,
        segment="card",
        evaluation={"test": told},
        tallies=dict.fromkeys(told, tally_of(chance, label)),
    )
    section = sections_model.slices_section(facts)
    assert "card trips of the test split. Each slice has at least 200 trips" in section.lead
    assert [row[0] for row in section.blocks[0].rows] == ["card"]
    assert "error on card trips is 0.010" in sections_model._calibration_lines(facts)[1]


def test_a_month_that_is_split_by_day_belongs_to_no_split():
    split = {
        "train": ("2023-01-01", "2023-01-22"),
        "validation": ("2023-01-22", "2023-01-26"),
        "test": ("2023-01-26", "2023-02-01"),
    }
    facts = replace(
        NOTHING,
        rows={"2023-01": MonthRows(9, 8, {})},
        split=split,
        sources=[SourceFileRef(uri="a/b.parquet", rows=9, bytes=90, modified="", checksum="c")],
    )
    picture = rows_section(facts).blocks[0].pictures[0]
    assert picture.caption == "8 trips in 2023-01."
    assert picture.legend == [("box-muted", "split by day")]
    assert "a, 1 file<" in of(facts)
    whole = replace(
        facts, split={"train": ("2022-12-01", "2023-01-01"), "validation": ("2023-01-01", "2023-02-01")}
    )
    assert rows_section(whole).blocks[0].pictures[0].legend == [("box-b", "validation")]


def day_performance(day, auc):
    metrics = PeriodMetrics(rows=9, prevalence=None, f1=None, f1_always_positive=None, auc=auc, log_loss=None)
    return DayPerformance(day=f"2023-02-0{day}", metrics=metrics, rolling=metrics)


def test_auc_and_log_loss_are_drawn_by_day():
    days = [day_performance(day, auc) for day, auc in ((1, None), (2, 0.7), (3, 0.8))]
    ranked, loss = daily.draw_daily_ranking(days, "high tips")
    assert (
        "Lowest: 0.7000 in the week that ends on 2023-02-02. Highest: 0.8000 in the week that ends on 2023-02-03."
        in ranked.caption
    )
    assert loss.caption.endswith("lower is better.")
    assert ranked.small
    assert len(daily.draw_daily_ranking(days[1:2], "high tips")) == 2


@pytest.mark.parametrize(("high", "told"), [(0, False), (29, False), (30, True), (170, True), (171, False)])
def test_a_ranked_slice_has_enough_trips_of_both_classes(high, told):
    slice_ = slice_metrics(rows=200, prevalence=high / 200, auc=0.0037)
    assert sections_model.worst_first([slice_]) == ([slice_] if told else [])


def test_the_segment_of_card_trips_is_not_a_ranked_slice():
    card, jfk = (
        slice_metrics(slice=name, value=value, auc=auc)
        for name, value, auc in (("payment_type", "1", 0.6), ("rate_code", "2", 0.7))
    )
    assert sections_model.worst_first([card, jfk]) == [jfk]
    assert "JFK rate" in str(sections_model._slices_table("Slices", [jfk], "high tips").rows)


# Warnings

GOOD_IMPROVEMENT = {
    "always_positive": auc_improvement(0.2),
    "constant_probability": auc_improvement(0.2),
    "group_mean": auc_improvement(0.1),
}


def evaluated(**changes):
    fields = {"intervals": {"auc": Interval(0.7, 0.9)}, "improvement": GOOD_IMPROVEMENT}
    train = segment_report(fields, **{**changes, "auc": 0.82})
    return {"train": {"all": train}, "test": {"all": segment_report(fields, **changes)}}


def monitoring_report(**changes):
    """Return the report of a month without alerts."""
    performance = MonthPerformance(
        month="reference",
        rows=1_000,
        segment_share=0.7,
        segment_prevalence=None,
        metrics=None,
        f1_always_positive=None,
        segment_auc=None,
        estimated_metrics=EstimatedMetrics(),
    )
    report = MonitoringReport(
        model="v1",
        segment="all",
        analysis_months=("2023-12",),
        feature_reference=("2023-01",),
        performance_reference=("2023-11",),
        labels_until=None,
        warnings=(),
        words=TLC.words,
        thresholds=AlertThresholds(),
        active_alerts=(),
        alert_history=(),
        exceeded_measurements=(),
        feature_importance={},
        drift_by_month={"2023-12": ()},
        performance_by_month=(performance, replace(performance, month="2023-12")),
        performance_by_day=(),
        quality_by_month=(),
    )
    return replace(report, **changes)


QUIET = replace(
    NOTHING,
    evaluation=evaluated(),
    rows={f"2023-{m:02d}": MonthRows(1_000, 994, {"late": 6}) for m in range(1, 7)},
    split={"train": ("a", "b"), "validation": ("b", "c"), "test": ("c", "d")},
    rounds=50,
    config={"models": {"rounds": 300}},
    run_result=RUN_RESULT,
    monitoring=monitoring_report(),
)
DRIFT_ALERT = Alert(
    month="2023-12",
    kind="drift",
    name="trip_distance",
    measure="psi",
    value=0.31,
    effect=0.31,
    threshold=0.2,
    breach_months=("2023-11", "2023-12"),
    window_months=3,
)
RATE_ALERT = replace(
    DRIFT_ALERT,
    kind="missing",
    name="RatecodeID",
    measure="rate",
    value=0.0649,
    reference=0.004,
    effect=0.0459,
    threshold=0.0,
)
CASES = {
    "did not promote the model": {
        "run_result": replace(
            RUN_RESULT,
            promotion=replace(
                RUN_RESULT.promotion, decision=Decision.REJECTED, promotion_reasons=("worse than champion",)
            ),
        )
    },
    "synthetic": {"run_result": replace(RUN_RESULT, origin=replace(RUN_RESULT.origin, source="synthetic"))},
    "drift of trip_distance: PSI 0.310, threshold 0.2 exceeded in 2 of the latest 3": {
        "monitoring": monitoring_report(active_alerts=(DRIFT_ALERT,)),
    },
    "share of trips without RatecodeID: 0.0649, 0.0040 in the reference, outside the reference range": {
        "monitoring": monitoring_report(active_alerts=(RATE_ALERT,)),
    },
    "looks better": {"monitoring": monitoring_report(warnings=("its performance there looks better",))},
    "Possible target leakage": {"leakage_aucs": {"extra": 0.99}},
    "metrics on all trips of the test split are imprecise: there are only 900": {
        "evaluation": evaluated(rows=900)
    },
    "F1 of the always-positive baseline is 0.6000": {"evaluation": evaluated(f1=0.5)},
    "suggests overfitting": {"evaluation": evaluated(auc=0.7)},
    "10.0\xa0% of the trips were rejected": {"rows": {"2023-01": MonthRows(100, 90, {"late": 10})}},
    "5.0\xa0% of the trips in 2023-07 were rejected": {
        "rows": {**QUIET.rows, "2023-07": MonthRows(1_000, 950, {"late": 50})}
    },
    "No trip of the test split is in the segment card": {"daily_tallies": {"all": {}, "card": {}}},
    "no validation month": {"split": {"train": ("a", "b"), "test": ("c", "d")}},
    "The last of 300 rounds": {"rounds": 300},
}


def test_a_run_without_problems_has_no_warnings():
    assert collect_findings(QUIET) == []
    assert "Checked: the promotion gate, monitoring, baselines, rejected trips." in of(QUIET)


@pytest.mark.parametrize("said", CASES)
def test_each_problem_has_one_warning(said):
    (line, where), *more = collect_findings(replace(QUIET, **CASES[said]))
    assert said in line
    assert not more
    assert where in SECTION_IDS


def test_a_better_baseline_and_a_missing_interval_are_warnings():
    told = evaluated()
    told["test"]["all"] = replace(
        told["test"]["all"],
        improvement={**GOOD_IMPROVEMENT, "group_mean": auc_improvement(-0.02)},
        intervals={"auc": None},
        calibration_error=0.2,
    )
    lines = " ".join(line for line, _ in collect_findings(replace(QUIET, evaluation=told)))
    assert (
        "The group mean baseline has a higher AUC than the model on all trips of the test split, by 0.0200"
        in lines
    )
    assert "which need trips of at least 7 days" in lines
    assert "trips of the test split is 0.200" in lines


@pytest.mark.parametrize(
    ("gain", "interval", "warns"),
    [
        (-0.00001, [0.7, 0.9], False),
        (-0.009, None, False),
        (-0.009, [0.79, 0.805], True),
        (-0.02, [0.7, 0.9], True),
    ],
)
def test_a_better_baseline_is_a_warning_only_if_it_is_significant(gain, interval, warns):
    told = evaluated()
    told["test"]["all"] = replace(
        told["test"]["all"],
        improvement={"constant_probability": auc_improvement(gain)},
        intervals={"auc": interval and Interval(*interval)},
    )
    lines = [
        line
        for line, _ in collect_findings(replace(QUIET, evaluation=told))
        if "constant probability" in line
    ]
    assert bool(lines) == warns


def test_a_model_of_card_trips_has_no_warnings_about_other_trips():
    told = evaluated()["test"]["all"]
    both = {"test": {"all": replace(told, calibration_error=0.197), "card": told}}
    assert collect_findings(replace(QUIET, evaluation=both, segment="card")) == []
    assert len(collect_findings(replace(QUIET, evaluation=both, segment="all"))) == 1


def test_rows_add_up_on_the_page():
    section = rows_section(QUIET)
    assert "6,000 trips read, 5,964 kept, 36 rejected (0.60\xa0%)" in section.lead
    table = next(block for block in section.blocks if block.kind == "table")
    assert table.rows[-1][1:3] == ["6,000", "5,964"]


def test_warnings_are_in_the_first_section():
    first = next(iter(build_sections(replace(QUIET, rounds=300))))
    assert isinstance(first.blocks[0], WarningsBlock)


# Two versions


def days_of(noise, shift=0, days=10):
    """Return tallies by day of the same trips, scored with more or less noise."""
    rng, own = np.random.default_rng(3), np.random.default_rng(4)
    found = {}
    for day in range(days):
        label = rng.random(400) < 0.4
        chance = np.clip(0.3 + 0.4 * label + own.normal(0, noise, 400), 0, 0.999)
        found[f"2023-12-{day + 1 + shift:02d}"] = tally_of(chance, label)
    return found


def evaluation_of(days, **own):
    auc = sklearn_auc(reduce(Tally.merge, days.values()))
    intervals = {name: Interval(*interval) for name, interval in own.items()}
    return {"test": {"all": segment_report({"intervals": intervals}, auc=auc, f1=None)}}


def sklearn_auc(tally):
    return np.trapezoid(*curves.roc_curve(tally)[::-1])


def two(a, b, **own):
    return [
        replace(NOTHING, version=name, daily_tallies={"all": days}, evaluation=evaluation_of(days, **own))
        for name, days in (("va", a), ("vb", b))
    ]


def test_versions_with_the_same_trips_are_compared_in_pairs():
    a, b = two(days_of(0.2), days_of(0.35), auc=[0.0, 1.0])
    span = diff.paired_improvements(a, b, "all")["auc"]
    assert span.high < 0
    line, where = next(iter(diff_page._diff_findings(a, b)))
    assert line.startswith("B is significantly worse on all trips: AUC by 0.1")
    assert where == "metrics"
    assert list(diff_page._diff_findings(b, a)) == []
    assert list(diff_page._diff_findings(a, a)) == []


def test_versions_with_different_trips_are_compared_by_their_intervals():
    a, b = two(days_of(0.2), days_of(0.35, shift=1), auc=[0.0, 1.0])
    assert diff.paired_improvements(a, b, "all") == {}
    assert list(diff_page._diff_findings(a, b)) == []
    a = replace(a, evaluation=evaluation_of(a.daily_tallies["all"], auc=[0.9, 0.95]))
    b = replace(b, evaluation=evaluation_of(b.daily_tallies["all"], auc=[0.7, 0.8]))
    assert "B is significantly worse on all trips" in next(iter(diff_page._diff_findings(a, b)))[0]


# Zones


def test_zones_are_counted_from_feature_histograms_and_the_target_history():
    cells = [(74.0, True, 5), (74.0, False, 3), (75.0, False, 9), (math.nan, True, 4)]
    profiles = pd.DataFrame(
        [("PULocationID", card, value, trips, 0, 1024) for value, card, trips in cells],
        columns=FEATURE_HISTOGRAMS.names,
    )
    other = pd.DataFrame([("DOLocationID", True, 74.0, 50, 0, 1024)], columns=FEATURE_HISTOGRAMS.names)
    pairs = ZONE_ID_COUNT**2
    month, zone = 2023 * 12 * pairs, 74 * ZONE_ID_COUNT + 3
    history = pack_counts(np.array([month + zone, month + pairs + zone]), np.array([4, 6]), np.array([3, 2]))
    whole = pd.concat([profiles, other])
    assert summarize_zones(whole, [""] * 74 + ["Harlem"], [], TLC, history) == [
        ZoneSummary(75, "", "", 9, 0, 0, None),
        ZoneSummary(74, "Harlem", "", 8, 5, 10, 0.5),
    ]
    assert summarize_zones(whole, [], [], TLC, "")[1] == ZoneSummary(74, "", "", 8, 5, None, None)


SQUARE = [[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]


def geojson(folder, *features):
    file = folder / "zones.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return file


def shape(name, number, kind="Polygon", coordinates=None):
    return {"properties": {name: number}, "geometry": {"type": kind, "coordinates": coordinates or [SQUARE]}}


def test_zone_outlines_are_read_in_any_spelling_and_simplified(tmp_path):
    many = [[math.cos(a), math.sin(a)] for a in np.linspace(0, 6.28, 5_000)]
    file = geojson(
        tmp_path,
        shape("LocationID", 1),
        shape("location_id", "2", "MultiPolygon", [[SQUARE], [many]]),
        shape("locationid", 1),
    )
    found = zones.read_outlines(file)
    assert {number: len(rings) for number, rings in found.items()} == {1: 2, 2: 2}
    assert len(found[2][1]) <= zones.MAX_OUTLINE_POINTS
    picture = charts_data.draw_zone_map("map", found, {1: 0.5, 2: 0.7}, "two")
    assert "var(--a-pale)" in picture.svg
    assert "var(--a-mild)" in picture.svg
    assert "fill: var(--rule)" not in picture.svg
    assert "fill: var(--rule)" in charts_data.draw_zone_map("map", found, {1: 0.5}, "one").svg


@pytest.mark.parametrize(
    "content", ["", "[]", '{"features": [{"properties": {}, "geometry": null}]}', '{"features": 1}']
)
def test_a_file_that_is_not_a_map_is_an_error(content, tmp_path):
    file = tmp_path / "zones.geojson"
    file.write_text(content)
    with pytest.raises(SourceError, match=r"zones\.geojson: expected GeoJSON"):
        zones.read_outlines(file)


def test_an_unusable_map_is_a_short_error(tmp_path):
    file = tmp_path / "trips.parquet"
    file.write_bytes(b"PAR1" + bytes(range(256)) * 4_000)
    with pytest.raises(SourceError, match="not text") as caught:
        zones.read_outlines(file)
    assert len(str(caught.value)) < 200 + len(str(file))
    with pytest.raises(SourceError, match="no such file"):
        zones.read_outlines(tmp_path / "none")
    with pytest.raises(SourceError, match="none of the 1 zones has a TLC zone ID, 1 to 265"):
        zones.read_outlines(geojson(tmp_path, shape("LocationID", 4_000)))


# Real runs


@pytest.mark.cluster
def test_a_run_saves_its_report(two_runs):
    _, (first, second) = two_runs
    text = Path(first["report_path"]).read_text()
    assert len(text) < 3_000_000
    assert "cannot create this section" not in text
    assert "Not told" not in text
    told = Elements(text)
    words = "".join(told.text)
    for population in ("all", "card"):
        for name in ("auc", "f1", "log_loss"):
            assert f"{first['evaluation']['test'][population]['metrics'][name]:.4f}" in words
    assert f"{first['rows']['read']:,} trips read" in words
    for reason, count in first["rejects"].items():
        assert formatting.label(reason) in words
        assert f"{count:,}" in words
    assert all(name in words for name in first["stage_seconds"] if name != "report")
    assert (
        "The learning curve is not available" in Path(second["report_path"]).read_text()
        or "no validation month" in Path(second["report_path"]).read_text()
    )
    assert "There is no validation month" in Path(second["report_path"]).read_text()


@pytest.mark.cluster
def test_a_report_loads_no_resources(two_runs):
    _, runs = two_runs
    for run in runs:
        told = Elements(Path(run["report_path"]).read_text())
        targets = [*told.attributes("href"), *told.attributes("src"), *told.attributes("srcset")]
        assert targets
        assert all(target.startswith("#") or target == "data:," for target in targets)
        style = Path(run["report_path"]).read_text().split("<style>")[1].split("</style>")[0]
        assert "url(" not in style
        assert "@import" not in style


@pytest.mark.cluster
def test_the_learning_curve_is_stored(two_runs):
    store, (first, second) = two_runs
    manifest = Store(str(store), "dev").get_manifest("models", "va")
    curve = manifest.metrics["log_loss_by_round"]
    rounds = first["model"]["rounds"]
    assert len(curve["train"]) == len(curve["validation"]) == min(rounds + 4, 30)
    losses = curve["validation"]
    assert losses.index(min(losses)) == rounds - 1
    log_loss = first["metrics"]["validation"]["all"]["log_loss"]
    assert losses[rounds - 1] == pytest.approx(log_loss, abs=1e-5)
    told = Store(str(store), "dev").get_manifest("models", "vb").metrics["log_loss_by_round"]
    assert (len(told["train"]), told["validation"]) == (8, [])
    # With so few trips, the sample has all of them. The loss before the first round is the loss of
    # a model that predicts the share of high tips.
    share = second["metrics"]["train"]["card"]["prevalence"]
    assert told["train"][0] == pytest.approx(
        -share * math.log(share) - (1 - share) * math.log(1 - share), abs=1e-4
    )


@pytest.mark.cluster
def test_a_report_can_be_written_again(two_runs, invoke_cli, tmp_path):
    store, _ = two_runs
    made = invoke_cli("report", "va", "--store", store, "--output", tmp_path / "a.html", "--json")
    told = parse_summary(made)
    assert told == {"version": "va", "report_path": str(tmp_path / "a.html"), "missing_sections": {}}
    kept = (store / "dev" / "_reports" / "va.html").read_text()
    assert (tmp_path / "a.html").read_text() == kept
    assert parse_summary(invoke_cli("report", "--store", store, "--json"))["version"] == "vb"
    shown = parse_summary(invoke_cli("version", "show", "va", "--store", store, "--json"))
    assert shown["report_path"] == str(store / "dev" / "_reports" / "va.html")
    missing = invoke_cli("report", "vnone", "--store", store)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 2)
    unwritable = invoke_cli("report", "va", "--store", store, "--output", tmp_path / "no" / "a.html")
    assert unwritable.returncode == 1
    assert "cannot write report" in unwritable.stderr


@pytest.mark.cluster
def test_a_map_is_drawn_if_a_file_has_the_outlines(two_runs, invoke_cli, tmp_path):
    store, _ = two_runs
    file = geojson(
        tmp_path,
        *(shape("LocationID", n, coordinates=[[[x + n, y] for x, y in SQUARE]]) for n in range(1, 264)),
    )
    done = invoke_cli("report", "va", "--store", store, "--output", tmp_path / "a.html", "--zone-map", file)
    assert done.returncode == 0
    assert "Map of the pickup zones" in (tmp_path / "a.html").read_text()
    wrong = invoke_cli("report", "va", "--store", store, "--zone-map", tmp_path / "a.html")
    assert "expected GeoJSON" in wrong.stderr


@pytest.mark.cluster
def test_the_report_of_an_incomplete_version_names_the_missing_data(two_runs, invoke_cli, tmp_path):
    """The version has no histograms, no run result, no learning curve, and no feature files."""
    store, _ = two_runs
    old = tmp_path / "old"
    shutil.copytree(store, old)
    versions = old / "dev" / "_versions"
    for name in ("metric_histograms", "feature_histograms", "rejects"):
        (versions / name / "va.json").unlink()
    (old / "dev" / "_reports" / "va.run.json").unlink()
    told = json.loads((versions / "models" / "va.json").read_text())
    (versions / "models" / "va.json").write_text(json.dumps({**told, "metrics": {}}))
    shutil.rmtree(old / "dev" / "features" / "version=va")
    found = parse_summary(
        invoke_cli("report", "va", "--store", old, "--output", tmp_path / "a.html", "--json")
    )
    wanted = {
        "evaluation",
        "features",
        "drift",
        "time",
        "training",
        "importance",
        "zones",
        "rejects",
        "lineage",
    }
    assert set(found["missing_sections"]) == wanted
    text = (tmp_path / "a.html").read_text()
    assert "cannot create this section" not in text
    assert all(
        say_.replace("'", "&#39;") in text or say_ in text or say_.capitalize()[:9] in text
        for say_ in found["missing_sections"].values()
    )


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("metric_histograms", "metrics"),
        ("models", "the model"),
        ("feature_histograms", "feature distributions"),
    ],
)
def test_damaged_data_is_the_first_warning(table, part, two_runs, invoke_cli, tmp_path):
    store = tmp_path / "damaged"
    shutil.copytree(two_runs[0], store)
    for file in (store / "dev" / table / "version=va").rglob("*.*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-9])
    done = invoke_cli("report", "va", "--store", store, "--output", tmp_path / "a.html")
    assert done.returncode == 0
    line = done.stderr.splitlines()[0]
    assert line.startswith(f"warning: cannot read {part}: ")
    assert "checksum differs" in line
    words = "".join(Elements((tmp_path / "a.html").read_text()).text)
    first = words.partition("Warnings\n")[2].strip()
    assert first.startswith(f"Cannot read {part}: ")


@pytest.mark.cluster
@pytest.mark.parametrize("version", ["va", "vb"])
def test_the_report_that_a_run_prepares_is_that_of_the_stored_version(two_runs, version):
    """A run draws most charts before the promotion gate decides, and `toytip report` afterwards."""
    store = Store(str(two_runs[0]), "dev")
    page = store.file_io.read(store.layout.page(version)).decode()
    assert page == render_version_page(collect_facts(store, version, Settings.load()))


@pytest.mark.cluster
def test_the_report_of_a_monitoring_version_uses_its_options(two_runs, invoke_cli, tmp_path, monkeypatch):
    store = tmp_path / "watched"
    shutil.copytree(two_runs[0], store)
    asked = ("--reference", "2020-02", "--analysis-months", "2020-03:2020-04", "--labels-until", "2020-03")
    monkeypatch.setenv("TOYTIP_ALERT_PSI", "0.01")
    printed = json.loads(
        invoke_cli(
            "monitor", "--model", "va", "--store", store, *asked, "--version-id", "vm", "--json"
        ).stdout
    )
    monkeypatch.delenv("TOYTIP_ALERT_PSI")
    facts = collect_facts(Store(str(store), "dev"), "vm", Settings.load())
    assert to_json(facts.monitoring) == {**printed, "files": {}}
    assert facts.monitoring.performance_by_month[-1].metrics is None
    assert {item.threshold for item in facts.monitoring.exceeded_measurements if item.measure == "psi"} == {
        0.01
    }


@pytest.mark.cluster
def test_a_single_stage_has_a_report(two_runs, invoke_cli, tmp_path):
    """The version has features only, as after `toytip stage featurize`."""
    store, _ = two_runs
    part = tmp_path / "part"
    shutil.copytree(store, part)
    for name in ("predictions", "metric_histograms", "models", "encodings", "monitoring"):
        shutil.rmtree(part / "dev" / "_versions" / name)
    assert invoke_cli("report", "va", "--store", part, "--output", tmp_path / "a.html").returncode == 0
    text = (tmp_path / "a.html").read_text()
    assert "cannot create this section" not in text
    assert "The model is not available: this version has no models" in text
    assert "trip_distance by month" in text


@pytest.mark.cluster
def test_a_report_that_fails_does_not_fail_the_run(synthetic, two_runs, tmp_path):
    store = tmp_path / "st"
    shutil.copytree(two_runs[0], store)
    (store / "dev" / "_reports" / "vx.html").mkdir()
    args = (
        "run",
        "--source",
        synthetic,
        "--store",
        store,
        "--workers",
        1,
        "--rounds",
        2,
        "--json",
        "--version-id",
        "vx",
    )
    refused = run_toytip(*args, TOYTIP_ZONE_MAP_FILE=str(tmp_path / "none.geojson"))
    assert refused.returncode == 1
    assert "none.geojson: expected GeoJSON" in refused.stderr.splitlines()[0], "before any work"
    done = run_toytip(*args)
    summary = parse_summary(done)
    assert summary["report_path"] is None
    assert "warning: cannot write the report of the run:" in done.stderr
    assert "To try again, run `toytip report vx`" in done.stderr
    assert Store(str(store), "dev").get_manifest("predictions", "vx") is not None


@pytest.mark.cluster
def test_the_diff_page_of_two_versions(two_runs, invoke_cli, tmp_path):
    store, (first, second) = two_runs
    file = tmp_path / "d.html"
    told = parse_summary(
        invoke_cli("version", "diff", "va", "vb", "--store", store, "--output", file, "--json")
    )
    text = file.read_text()
    assert "cannot create this section" not in text
    words = "".join(Elements(text).text)
    flipped = told["predictions"]["changed_predictions"]
    assert f"{flipped:,} trips" in words
    for summary in (first, second):
        assert f"{summary['evaluation']['test']['card']['metrics']['auc']:.4f}" in words
    for changed in ("segment", "rounds of the model", "split: validation", "models: rounds", "features"):
        assert changed in words
    assert "The features of both versions have the same distributions." in words
    assert text.count('role="img"') >= 5
    same = invoke_cli("version", "diff", "va", "va", "--store", store, "--output", file)
    assert same.returncode == 0
    assert "settings, packages, split, features and source files." in file.read_text()


def test_reports_are_deleted_with_their_version(tmp_path):
    store = Store(str(tmp_path), "dev")
    for version in ("v1", "v2"):
        with store.write_version(version):
            publish_trips(store, version)
        for name in ("html", "run.json", "dask.html"):
            save_report(store, f"{version}.{name}", b"x")
    waste = find_garbage(store, keep=1)
    assert sorted(waste.orphaned_files) == [
        f"dev/_reports/v1.{name}" for name in ("dask.html", "html", "run.json")
    ]
    collect_garbage(store, waste)
    assert sorted(path.name for path in (tmp_path / "dev" / "_reports").iterdir()) == [
        "v2.dask.html",
        "v2.html",
        "v2.run.json",
    ]


def test_color_placeholders_are_unambiguous():
    assert len({*svg.CSS_NAMES}) == len(svg.CSS_NAMES)
    assert not any(a != b and a in b for a in svg.CSS_NAMES for b in svg.CSS_NAMES)


def test_an_empty_frame_has_no_shap_values():
    from toytip.stages.infer import shap_values

    assert shap_values(pd.DataFrame({"a": []}), b"").shape == (0, 1)
