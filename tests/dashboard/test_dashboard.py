"""The state of a run: what is drawn of it on a terminal, told to the scheduler, shown on its page and in its figures."""

import contextlib
import dataclasses
import io
import json
import os
import re
import threading
import types
import urllib.error
import urllib.request
from pathlib import Path

import distributed
import pytest
from distributed.protocol.pickle import dumps
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from tests.conftest import run_toytip
from toytip.config import Settings
from toytip.core.months import parse_months
from toytip.core.timing import StageTiming
from toytip.dashboard import reporter
from toytip.dashboard.plugin import DashboardPlugin
from toytip.dashboard.prometheus import COUNTERS, RunCollector, RunCounters
from toytip.pipeline.run import run
from toytip.progress import terminal
from toytip.progress.state import (
    CurvePoint,
    MonthProgress,
    RowCount,
    RunState,
    StageState,
    downsample,
    format_duration,
)
from toytip.progress.tracker import Progress
from toytip.store import timings
from toytip.store.store import Store

GRAFANA = Path(__file__).parents[2] / "cluster" / "grafana"
YEAR = [str(month) for month in parse_months("2023-01:2023-12")]

# the state


@pytest.mark.parametrize(
    ("cell", "standing"),
    [
        (MonthProgress(2), "waiting"),
        (MonthProgress(2, running=1), "running"),
        (MonthProgress(2, done=1), "running"),
        (MonthProgress(2, done=2), "done"),
        (MonthProgress(2, done=2, reused=2, retried=1), "done"),
    ],
)
def test_how_far_a_month_is(cell, standing):
    assert cell.standing == standing


@pytest.mark.parametrize(
    ("stage", "left"),
    [
        ({"total": 4, "done": 1, "began": 90}, 30),  # ten seconds for one, three to come
        ({"total": 4, "done": 3, "taken": 2, "began": 90}, 10),  # what was taken over took no time
        ({"total": 4, "began": 90}, None),  # nothing tells
        ({"total": 4, "began": 90, "expected": 25}, 15),  # its history does
        ({"total": 4, "expected": 25}, 25),
        ({"total": 4}, None),
        ({"total": 4, "began": 90, "expected": 5}, 0),  # longer than ever: no less than nothing
        ({"total": 4, "skipped": True}, 0),
        ({"total": 4, "done": 2, "began": 90, "ended": 95}, 0),
    ],
)
def test_what_is_left_of_a_stage(stage, left):
    assert StageState(name="train", **stage).remaining(100) == left


STEADY = tuple(RowCount(second, 10 * (second - 60)) for second in range(60, 101))


@pytest.mark.parametrize(
    ("counts", "now", "rate"),
    [
        (STEADY, 100, 10),
        ((*STEADY[:-1], RowCount(100, 490)), 100, 19),  # the last part was large
        (STEADY[-5:], 100, 10),  # more parts than are kept
        (STEADY, 105, 5),  # a stall
        (STEADY, 199, 0.1),
        ((RowCount(60, 0), RowCount(80, 200)), 100, 5),  # its only part
        (
            (RowCount(40, 0), RowCount(60, 300), RowCount(80, 500)),
            100,
            5,
        ),  # a part takes longer than the window
        ((RowCount(60, 0),), 100, None),  # nothing is made yet
        ((), 100, None),
    ],
)
def test_how_fast_rows_are_made_now(counts, now, rate):
    stage = StageState(
        name="infer", total=50, started_at=60, rows=counts[-1].rows if counts else 0, row_counts=counts
    )
    assert stage.current_rows_per_second(now) == rate
    assert dataclasses.replace(stage, ended_at=now).current_rows_per_second(now) is None
    told = dataclasses.replace(a_run(stage), now=now)
    assert told.to_json()["stages"][0]["rate_now"] == rate
    assert dataclasses.replace(told, outcome="stopped").to_json()["stages"][0]["rate_now"] is None


def a_run(*stages, **more):
    return RunState(run="v1", now=100, started_at=80, stages=stages, **more)


def test_what_is_left_of_a_run_is_told_when_every_stage_tells():
    done = StageState(name="featurize", total=1, done=1, started_at=80, ended_at=90)
    half = StageState(name="train", unit="rounds", total=4, done=2, started_at=90)
    last = StageState(name="infer", total=3)
    step = StageState(name="gate", unit="step", total=1)
    assert a_run(done, half, step).remaining == 10
    assert a_run(done, half, last, step).remaining is None
    known = StageState(name="infer", total=3, expected_seconds=7)
    assert a_run(done, half, known, step).remaining == 17
    assert a_run(done, half, outcome="failed").remaining == 0
    assert a_run().remaining is None


def test_a_curve_keeps_its_last_round():
    curve = [CurvePoint(n, 1 / n, 1 / n) for n in range(1, 1_235)]
    assert len(downsample(curve)) <= 401
    assert downsample(curve)[-1] == curve[-1]
    assert downsample(curve[:7]) == curve[:7]
    assert downsample([]) == []


def test_a_state_is_plain_values():
    stage = StageState(
        name="infer",
        total=2,
        done=1,
        rows=50,
        started_at=90,
        month_progress={"2023-01": MonthProgress(2, 1, 0, 1)},
    )
    told = json.loads(json.dumps(a_run(stage, curve=(CurvePoint(1, None, 0.5),)).to_json()))
    assert told["stages"][0]["cells"] == {"2023-01": ["running", 2, 1, 0, 1, 0]}
    assert (told["stages"][0]["rate"], told["left"], told["curve"]) == (5, 10, [[1, None, 0.5]])


# the grid


def year_of(months, standing):
    cells = {"done": MonthProgress(1, 1), "running": MonthProgress(1, running=1), "waiting": MonthProgress(1)}
    return {month: cells[standing(month)] for month in months}


def a_year():
    """Half of a year's months are featurized; nothing is inferred yet."""
    half = year_of(YEAR, lambda m: "done" if m < "2023-07" else "running" if m < "2023-09" else "waiting")
    return a_run(
        StageState(name="featurize", total=12, done=6, rows=654_321, started_at=90, month_progress=half),
        StageState(name="train", unit="rounds", total=300),
        StageState(name="infer", total=12, month_progress=year_of(YEAR, lambda _: "waiting")),
        rejects={"out_of_month": 30, "negative_tip": 4},
    )


def test_a_year_fits_eighty_columns():
    lines = terminal.render(a_year(), 80).plain.split("\n")
    assert max(map(len, lines)) < 80
    assert lines[0].split() == ["2023", *map(str, range(1, 13))]
    assert lines[1].split()[:2] == ["▸", "featurize"]
    assert lines[1].count("■") == 6
    assert lines[1].count("▪") == 2
    assert "6/12  10.0 s  65k rows/s" in lines[1]
    assert lines[3].split() == ["·", "infer", *"·" * 12]
    assert lines[4] == "  34 rejected, 30 of them out_of_month; about 10 s left of featurize"


def test_the_rate_of_now_stands_where_there_is_room():
    year = a_year()
    first = dataclasses.replace(
        year.stages[0], counts=(RowCount(90, 0), RowCount(95, 4_321), RowCount(99, 654_321))
    )
    year = dataclasses.replace(year, stages=(first, *year.stages[1:]))
    assert "now" not in terminal.render(year, 80).plain
    assert "  6/12  10.0 s  65k rows/s, 65k now\n" in terminal.render(year, 100).plain


def test_columns_are_the_same_months_in_every_line():
    lines = terminal.render(a_year(), 80).plain.split("\n")
    assert [m.end() for m in re.finditer(r"\d+", lines[0])][1:] == [
        m.end() for m in re.finditer(r"[■▪·]", lines[1])
    ]


@pytest.mark.parametrize(("years", "marks"), [(1, 12), (2, 8), (4, 16), (15, 15)])
def test_many_months_share_marks(years, marks):
    months = [str(month) for month in parse_months(f"2010-01:{2009 + years}-12")]
    stage = StageState(
        name="infer",
        total=len(months),
        done=1,
        started_at=99,
        month_progress=year_of(months, lambda _: "done"),
    )
    lines = terminal.render(a_run(stage), 80).plain.split("\n")
    assert lines[1].count("■") == marks
    assert max(map(len, lines)) < 80


def test_marks_for_terminals_without_unicode():
    text = terminal.render(a_year(), 80, terminal.glyphs_for("ascii")).plain
    assert text.isascii()
    assert terminal.glyphs_for("UTF-8") is terminal.UNICODE_GLYPHS


def test_nothing_has_begun():
    assert terminal.render(a_run(), 80).plain == ""


def test_spans_of_time_are_in_words():
    assert [format_duration(s) for s in (0.4, 59.4, 59.6, 3_599, 90_000)] == [
        "0 s", "59 s", "1 min 00 s", "59 min 59 s", "25 h 00 min",
    ]  # fmt: skip


# the progress


def told_by(mode):
    """Return what a stage of two months says on a terminal of this mode."""
    out = io.StringIO()
    progress = Progress(mode, Console(file=out, force_terminal=True, width=80))
    with progress.show_live():
        progress.info("version v1")
        progress.expect("infer", ["2023-01"])
        with progress.stage("featurize", 2, ["2023-01", "2023-02"]) as stage:
            stage.advance(60, month="2023-01", rejects={"out_of_month": 2})
            stage.advance(month="2023-02", reused=True)
        progress.warn("look here")
    return progress, out.getvalue()


def test_plain_lines_have_no_control_codes_on_a_terminal():
    _, said = told_by("plain")
    assert "\x1b" not in said
    assert re.fullmatch(
        r"version v1\nfeaturize       2 done     \d\.\d s  60 rows  [\d,]+ rows/s\nwarning: look here\n", said
    )


def test_quiet_says_nothing_and_forgets_nothing():
    progress, said = told_by("quiet")
    assert said == ""
    assert progress.warnings == ["look here"]
    assert set(progress.stage_seconds) == {"featurize"}


def test_a_grid_is_drawn_on_a_terminal():
    progress, said = told_by("auto")
    assert progress.mode == "grid"
    assert "featurize" in said
    assert "\x1b[" in said
    assert "warning: look here" in said


def test_what_a_stage_counts_is_in_the_state():
    progress, _ = told_by("quiet")
    featurize, infer = progress.state().stages
    assert featurize.month_progress == {"2023-01": MonthProgress(1, 1), "2023-02": MonthProgress(1, 1, 1)}
    assert (featurize.rows, featurize.status, infer.status) == (60, "done", "waiting")
    assert [count.rows for count in featurize.row_counts] == [0, 60]
    assert progress.state().rejects == {"out_of_month": 2}


def test_a_stage_that_was_not_expected_comes_before_those_that_are():
    progress = Progress("quiet")
    progress.expect("featurize", ["2023-01"])
    progress.expect("train", total=9)
    with progress.stage("checksum", 3):
        pass
    progress.skip("train", "v1 is reused")
    assert [(s.name, s.status) for s in progress.state().stages] == [
        ("checksum", "done"), ("featurize", "waiting"), ("train", "skipped"),
    ]  # fmt: skip


def test_a_curve_has_the_training_loss_of_its_own_round():
    progress = Progress("quiet")
    with progress.stage("train", 3, unit="rounds") as stage:
        stage.record_round(1, 0.6, 0.69)
        stage.record_round(2, 0.5, 0.58)
        stage.record_round(3, None)
    assert progress.state().curve == (
        CurvePoint(1, 0.58, 0.6),
        CurvePoint(2, None, 0.5),
        CurvePoint(3, None, None),
    )
    assert progress.state().stages[0].done == 3


def test_a_curve_goes_on_from_where_a_training_does():
    progress = Progress("quiet")
    with progress.stage("train", 9, unit="rounds") as stage:
        for number in (1, 2, 3, 2, 3):
            stage.record_round(number, 1 / number)
    assert [point.round for point in progress.state().curve] == [1, 2, 3]


# slow stages


def took(seconds, work=1_000, stage="infer", workers=2, threads=2):
    return StageTiming(stage=stage, seconds=seconds, work=work, workers=workers, threads=threads)


USUAL = [took(10), took(9), took(11), took(10), took(10)]


@pytest.mark.parametrize(
    ("now", "before", "rings"),
    [
        (took(25), USUAL, True),
        (took(20), USUAL, False),  # twice is not more than twice
        (took(25, work=2_000), USUAL, False),  # twice the rows
        (took(25), [], False),  # no history
        (took(25), [took(10, workers=4)] * 5, False),  # other workers
        (took(25), [took(10, threads=4)] * 5, False),
        (took(25), [took(10, stage="clean")] * 5, False),
        (took(25), [took(10)], True),
        (took(4.9), [took(1)] * 5, False),  # too short to matter
        (took(5), [took(1)] * 5, True),
        (took(25), [took(10)] * 3 + [took(20)] * 5, False),  # the last five count
        (took(25), [took(20)] * 3 + [took(10)] * 5, True),
        (took(25), [took(10), took(10), took(10), took(90), took(90)], True),  # the median, not the mean
        (took(25, work=0), USUAL, False),
    ],
)
def test_when_a_stage_is_slow(now, before, rings):
    assert bool(timings.slow_warning(now, before)) is rings


def test_a_slow_stage_is_said_once_in_one_line():
    out = io.StringIO()
    progress = Progress("plain", Console(file=out))
    progress.slow_check = lambda now: timings.slow_warning(
        took(25, stage=now.stage), [took(10, stage=now.stage)] * 5
    )
    with progress.stage("infer", 1) as stage:
        stage.advance(10)
    with progress.stage("again", 1) as stage:
        stage.advance(reused=True)
    line = "infer was slow: 25.0 s, 2.5 times what it took for a row in the last 5 versions with 2 workers"
    assert progress.warnings == [line]
    assert out.getvalue().count(f"warning: {line}\n") == 1


# figures


def test_counters_only_grow():
    totals = RunCounters()
    stage = {"name": "infer", "unit": "parts", "rows": 50, "done": 1, "seconds": 1.0}
    first = {"stages": [stage], "rejects": {"negative_tip": 3}, "published": [], "outcome": "running"}
    again = {
        **first,
        "stages": [{**stage, "rows": 80, "done": 2}],
        "published": ["scores"],
        "outcome": "done",
    }
    totals.add_progress({}, first)
    totals.add_progress(first, again)
    totals.add_progress(again, first)
    assert +totals.counts["rows"] == {"infer": 80}
    assert +totals.counts["parts"] == {"infer": 2}
    assert +totals.counts["rejects"] == {"negative_tip": 3}
    assert +totals.counts["published"] == {"scores": 1}
    assert +totals.counts["ended"] == {"done": 1}


class Scheduler:
    """One whose runs are these, as figures see it."""

    def __init__(self, *states):
        self.totals = RunCounters()
        self.runs = {}
        for state in states:
            self.totals.add_progress({}, state.to_json())
            self.runs[state.run] = types.SimpleNamespace(state=state.to_json())

    def samples(self):
        figures = RunCollector()
        figures.source = self
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in figures.collect()
            for sample in family.samples
        }


def test_counters_are_there_before_anything_happens():
    samples = Scheduler().samples()
    assert set(samples.values()) == {0}
    names = {name for name, *_ in samples}
    assert names == {f"{metric}_total" for metric, *_ in COUNTERS.values()} | {
        "toytip_training_rounds_total", "toytip_workers_lost_total", "toytip_runs_running",
    }  # fmt: skip
    outcomes = {label for name, *labels in samples for label in labels if name == "toytip_runs_total"}
    assert outcomes == {"done", "failed", "stopped"}


def test_a_stage_that_is_still_to_come_is_counted_from_zero():
    samples = Scheduler(a_run(StageState(name="clean", total=2))).samples()
    assert samples["toytip_rows_total", "clean"] == samples["toytip_parts_total", "clean"] == 0


def test_the_rate_of_now_is_a_figure_of_the_stage_under_way():
    done = StageState(name="featurize", started_at=60, ended_at=70, row_counts=STEADY)
    under_way = StageState(name="infer", started_at=60, row_counts=STEADY)
    samples = Scheduler(a_run(done, under_way)).samples()
    rates = {name: value for name, value in samples.items() if name[0] == "toytip_run_rows_per_second"}
    assert rates == {("toytip_run_rows_per_second", "v1", "infer"): 10}


# a live run


def address_of(client):
    return client.dashboard_link.removesuffix("/status")


def get(address, path):
    with urllib.request.urlopen(address + path, timeout=20) as answer:  # noqa: S310 - an address of ours
        return answer.headers, answer.read().decode()


class Watcher(threading.Thread):
    """Asks for the state and the figures for as long as a run lasts, as page and Prometheus do."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.ended = address, threading.Event()
        self.states, self.figures = [], []

    def run(self):
        while not self.ended.wait(0.1):
            with contextlib.suppress(urllib.error.HTTPError):  # there is no page before the first run
                self.states.append(json.loads(get(self.address, "/toytip/state.json")[1]))
                self.figures.append(get(self.address, "/metrics")[1])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(20)


@pytest.fixture(scope="module")
def watched(client, synthetic, tmp_path_factory):
    """A run on the shared cluster, and what was seen of it meanwhile."""
    store = tmp_path_factory.mktemp("live")
    settings = Settings.load(
        scheduler=client.scheduler.address, source=str(synthetic), store=str(store), rounds=12, max_depth=4,
        partition_rows=1_000, version="vlive",
    )  # fmt: skip
    progress = Progress("quiet")
    with Watcher(address_of(client)) as watcher:
        summary = run(settings, progress)
    get(address_of(client), "/toytip/state.json")
    return summary, watcher, progress, store


def states_of(watcher, name):
    return [run for told in watcher.states for run in told["runs"] if run["run"] == name]


def test_the_page_is_told_how_a_run_goes_on(watched):
    _, watcher, _, _ = watched
    seen = states_of(watcher, "vlive")
    assert seen[0]["outcome"] == "running"
    assert seen[-1]["outcome"] == "done"
    first = next(run for run in seen if run["stages"])
    assert {"featurize", "train", "infer"} <= {stage["name"] for stage in first["stages"]}
    last = {stage["name"]: stage for stage in seen[-1]["stages"]}
    assert all(cell[0] == "done" for cell in last["infer"]["cells"].values())
    assert all(stage["standing"] == "done" for stage in last.values())
    done = [sum(c[2] for s in run["stages"] for c in s["cells"].values()) for run in seen]
    assert done == sorted(done)


def test_what_the_page_says_is_what_the_summary_says(watched, client):
    summary, _, progress, _ = watched
    told = json.loads(get(address_of(client), "/toytip/state.json")[1])
    (last,) = [run for run in told["runs"] if run["run"] == "vlive"]
    stages = {stage["name"]: stage for stage in last["stages"]}
    assert stages["featurize"]["rows"] == summary["rows"]["kept"]
    assert last["rejects"] == summary["rejects"]
    assert [point[0] for point in last["curve"]] == list(range(1, 13))
    assert all(valid < 0.7 and (train is None or train < 0.7) for _, train, valid in last["curve"])
    assert last["curve"][0][2] > last["curve"][-1][2]
    assert set(last["published"]) == set(summary["tables"])
    assert {worker["limit"] > worker["memory"] > 0 for worker in told["workers"]} == {True}
    assert summary["live"] == f"{address_of(client)}/toytip"
    assert summary["warnings"] == progress.warnings


def test_the_training_loss_is_about_that_of_all_training_rows(watched):
    """It is of a sample of the first rank's rows, so no more than about."""
    summary, _, progress, _ = watched
    point = progress.curve[-2]
    assert point.train == pytest.approx(summary["metrics"]["train"]["log_loss"], abs=0.06)


def test_manifests_keep_how_long_the_stage_took(watched):
    *_, store = watched
    found = {m.table: m.duration for m in Store(str(store), "dev").list_manifests()}
    assert {table: took.stage for table, took in found.items() if took} == {
        "features": "featurize", "feature_histograms": "featurize", "rejects": "featurize",
        "encodings": "preprocess", "models": "train", "predictions": "infer", "metric_histograms": "infer",
    }  # fmt: skip
    assert found["models"].work == 12 * found["encodings"].work
    assert [took.stage for took in timings.stage_timings(Store(str(store), "dev").list_manifests())] == [
        "featurize", "preprocess", "train", "infer",
    ]  # fmt: skip


def test_a_run_that_takes_everything_over_shows_so(watched, client, synthetic):
    *_, store = watched
    settings = Settings.load(
        scheduler=client.scheduler.address, source=str(synthetic), store=str(store), rounds=12, max_depth=4,
        partition_rows=1_000, version="vagain",
    )  # fmt: skip
    run(settings, Progress("quiet"))
    told = json.loads(get(address_of(client), "/toytip/state.json")[1])
    assert [run["run"] for run in told["runs"]][:2] == ["vagain", "vlive"]
    stages = {stage["name"]: stage for stage in told["runs"][0]["stages"]}
    assert {cell[3] for cell in stages["featurize"]["cells"].values()} == {
        cell[1] for cell in stages["featurize"]["cells"].values()
    }
    assert stages["train"]["standing"] == stages["tune"]["standing"] == "skipped"
    assert stages["train"]["note"] == "vlive is reused"


def test_a_run_that_fails_says_why(watched, client, synthetic, tmp_path):
    settings = Settings.load(
        scheduler=client.scheduler.address, source=str(synthetic), store=str(tmp_path), train="2019-01",
        version="vfails",
    )  # fmt: skip
    with pytest.raises(Exception, match="2019-01") as error:
        run(settings, Progress("quiet"))
    told = json.loads(get(address_of(client), "/toytip/state.json")[1])
    shown = {run["run"]: run for run in told["runs"]}["vfails"]
    assert (shown["outcome"], shown["error"]) == ("failed", str(error.value))


def test_the_page_runs_nothing_from_elsewhere(watched, client):
    for path, kind in (("", "html"), ("/page.js", "javascript"), ("/page.css", "css")):
        headers, text = get(address_of(client), f"/toytip{path}")
        assert kind in headers["Content-Type"]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "innerHTML" not in text


def test_what_is_sent_to_the_scheduler_is_a_name():
    sent = dumps(DashboardPlugin())
    assert b"toytip.dashboard.plugin" in sent
    assert len(sent) < 100


def test_dasks_own_pages_lead_to_ours(watched, client):
    assert '<a href="toytip">Toytip</a>' in get(address_of(client), "/status")[1]


def families(text):
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_figures_are_of_the_run(watched, client):
    summary, _, _, _ = watched
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(get(address_of(client), "/metrics")[1])
        for sample in family.samples
    }
    assert samples["toytip_rows_total", "featurize"] >= summary["rows"]["kept"]
    for reason, count in summary["rejects"].items():
        assert samples["toytip_rejected_rows_total", reason] >= count
    assert samples["toytip_training_rounds_total",] >= 12
    assert samples["toytip_versions_published_total", "predictions"] >= 1
    assert samples["toytip_runs_total", "done"] >= 1
    assert ("toytip_workers_lost_total",) in samples
    assert samples["toytip_runs_running",] == 0


def queries():
    dashboard = json.loads((GRAFANA / "toytip.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_query_of_the_dashboard_names_a_figure_that_is_there(watched):
    _, watcher, _, _ = watched
    there = set().union(*map(families, watcher.figures))
    # Samples of these two come with a history, and with a stage that takes a while: their families are there without.
    there |= {"toytip_run_left_seconds", "toytip_run_rows_per_second"} & {
        f"{family.name}_total" if family.type == "counter" else family.name
        for text in watcher.figures
        for family in text_string_to_metric_families(text)
    }
    asked = {name for query in queries() for name in re.findall(r"\b(?:toytip|dask)_\w+", query)}
    assert asked <= there, asked - there
    ours = {name for name in there if name.startswith("toytip_")}
    assert ours <= asked, "the dashboard shows all that there is"
    table = (GRAFANA / "README.md").read_text()
    assert ours == set(re.findall(r"^\| `(toytip_\w+)`", table, re.MULTILINE))


def test_the_dashboard_is_one_that_grafana_reads():
    dashboard = json.loads((GRAFANA / "toytip.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${prometheus}"}
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"prometheus", "job"}
    for query in queries():
        assert query.count("(") == query.count(")")
        assert 'job=~"$job"' in query


def test_a_scheduler_that_takes_no_plugin_is_said_in_one_line(client):
    gone = distributed.Client(client.scheduler.address)
    gone.close()
    out = io.StringIO()
    progress = Progress("plain", Console(file=out))
    with reporter.report_state(gone, Settings.load(), progress):
        pass
    assert re.fullmatch(r"no live page: the scheduler does not take it \(.+\)\n", out.getvalue())
    assert progress.outcome == "done"


def dies_once(file):
    if not Path(file).exists():
        Path(file).touch()
        os._exit(1)
    return "there"


def test_a_part_whose_worker_dies_is_begun_again(watched, client, tmp_path):
    def tell(state):
        call, watched = client.scheduler.toytip_live, {"infer": {"part-1": "2023-01", "part-2": "2023-01"}}
        return client.sync(call, state=state.to_json(), watched=watched, client=client.id)

    now = a_run(StageState(name="infer", total=2, month_progress={"2023-01": MonthProgress(2)}))
    assert tell(now)["cells"] == {"infer": {"2023-01": (0, 0)}}
    lost = json.loads(get(address_of(client), "/toytip/state.json")[1])["lost"]
    future = client.submit(dies_once, str(tmp_path / "died"), key="part-1", pure=False)
    assert future.result(timeout=60) == "there"
    assert tell(now)["cells"] == {"infer": {"2023-01": (0, 1)}}
    assert json.loads(get(address_of(client), "/toytip/state.json")[1])["lost"] == lost + 1
    assert 'toytip_parts_retried_total{stage="infer"} 1.0' in get(address_of(client), "/metrics")[1]
    tell(dataclasses.replace(now, outcome="done", ended_at=100))
    client.wait_for_workers(2, timeout=60)


def test_a_run_may_go_without(client, synthetic, tmp_path, capfd):
    settings = Settings.load(
        scheduler=client.scheduler.address, source=str(synthetic), store=str(tmp_path / "none"), rounds=2,
        live=False, version="vdark", train="2019-01",
    )  # fmt: skip
    with pytest.raises(Exception, match="2019-01"):
        run(settings, Progress("plain"))
    assert "live page" not in capfd.readouterr().err


# the command line


def test_quiet_says_nothing_but_errors(synthetic, tmp_path):
    where = ("--source", synthetic, "--store", tmp_path, "--workers", 1)
    done = run_toytip("clean", *where, "--quiet", "--version", "v1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Store(str(tmp_path), "dev").get_manifest("trips", "v1") is not None
    again = run_toytip("clean", *where, "--quiet", "--version", "v1")
    assert again.returncode == 1
    assert re.fullmatch(r"error: .* already published .*\n", again.stderr)
