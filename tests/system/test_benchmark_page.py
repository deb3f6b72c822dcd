"""The page of benchmark results: its views, and the wins and losses of toytip in words."""

import json
import re

import pytest

from benchmarks import results
from benchmarks.quality import AUC_MARGIN
from docs.generate import page
from docs.generate.benchmarks import fill
from docs.generate.page import rows as page_rows
from docs.generate.page.verdicts import LOSS, UNDECIDED, WIN, verdicts
from docs.generate.page.views import Choice, load_views
from docs.generate.results import Results

RUN = "2026-01-01T08:30:00Z"


def rows(name, seconds, **columns):
    """Return one row per repeat of a contender, with the columns of every row and no others."""
    common = {
        "run": RUN,
        "name": name,
        "workers": 2,
        "trains_alike": True,
        "workload": "defaults",
        "source": "green-2023",
        "rows": 1_000_000,
        "kept": 990_000,
        "rounds": 300,
        "max_depth": 6,
        "auc": 0.87,
        "peak_mb": 500.0,
        "memory": [],
        "machine": "x86_64, Processor",
        "cores": 2,
        "stage_seconds": {},
        **columns,
    }
    return [{**common, "repeat": repeat, "seconds": value} for repeat, value in enumerate(seconds)]


def write(folder, found, name="defaults.jsonl"):
    file = folder / name
    file.parent.mkdir(exist_ok=True, parents=True)
    for row in found:
        results.append_result(file, row)


def view_of(folder, found):
    write(folder, found)
    (view,) = load_views(folder)
    return view


def data_of(text):
    """Return the data in the text of a page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])[
        "views"
    ]


def test_the_page_matches_the_result_files():
    assert page.PAGE.read_text(encoding="utf-8") == page.benchmark_page(), "run `make reference`"


def test_the_page_has_every_committed_result():
    """Each measured contender has its number of repeats on the page."""
    expected = {
        (origin.file, row["run"], row["name"], row["memory_cap_mb"], row["cold"]): 0
        for origin, measured in page_rows.read_rows(page.FOLDER).items()
        for row in measured
    }
    for view in data_of(page.PAGE.read_text(encoding="utf-8")):
        for item in view["contestants"]:
            cap = None if view["memory"]["key"] == "none" else int(view["memory"]["key"])
            key = (view["file"], view["date"]["key"], item["name"], cap, view["cache"]["key"] == "cold")
            expected[key] += item["repeats"]
            assert item["seconds"] or item["failures"]
    assert len(expected) > 10
    assert min(expected.values()) >= 1


def test_a_row_without_optional_columns(tmp_path):
    view = view_of(tmp_path, [*rows("toytip-2", [10.0, 12.0]), *rows("polars_defaults", [8.0, 8.0])])
    own, peer = view.contestants
    assert (own.label, own.kind, own.seconds) == ("toytip, 2 workers", "tuned", (11.0, 10.0, 12.0, 2))
    assert (peer.kind, peer.cpu_s, peer.cost, peer.auc_interval) == ("vanilla", None, None, None)
    assert (peer.noise, peer.failures) == ("", ())
    assert (view.memory, view.cache) == (Choice("none", "no limit"), Choice("warm", "warm"))
    assert view.date == Choice(RUN, "2026-01-01 08:30, 2 contenders")
    assert view.machine == Choice("x86-64-processor-2-cores", "x86_64, Processor, 2 cores")
    assert (view.commit, view.packages) == ("", "")


def test_the_columns_of_a_complete_row(tmp_path):
    conformance = {
        "rows": {"status": "passed", "cause": ""},
        "features": {"status": "passed", "cause": ""},
        "model": {"status": "not checked", "cause": ""},
    }
    difference = {"to": "toytip-2", "difference": -0.01, "low": -0.02, "high": -0.005}
    columns = {
        "kind": "tuned",
        "cold": True,
        "noisy": True,
        "noise": "1.5 cores were busy",
        "conformance": conformance,
        "memory_cap_mb": 8000,
        "memory_cap": "cgroup",
        "cost": 0.25,
        "cpu_s": 15.0,
        "auc_difference": difference,
        "environment": {"git_commit": "0123abcd", "polars": "2.1.0", "scipy": "1.0"},
        "uncommitted_changes": True,
        "machine_gb": 25.3,
    }
    failed = {**conformance, "features": {"status": "failed", "cause": "trip_speed differs"}}
    view = view_of(
        tmp_path,
        [*rows("new_engine", [8.0], **columns), *rows("other", [8.0], **{**columns, "conformance": failed})],
    )
    item, other = view.contestants
    assert (item.label, item.kind, item.noise) == ("new_engine", "tuned", "1.5 cores were busy")
    assert "rows passed, features passed" in item.conformance
    assert "features failed (trip_speed differs)" in other.conformance
    assert (item.cost.value, item.cpu_s.value, item.auc_interval.low) == (0.25, 15.0, -0.02)
    assert view.memory == Choice("8000", "8,000 MB, enforced by the system")
    assert view.cache.key == "cold"
    assert view.commit == "0123abcd with uncommitted changes"
    assert (view.packages, view.machine.label[-7:]) == ("polars 2.1.0", ", 25 GB")


def test_contenders_that_failed_have_the_cause(tmp_path):
    failed = {"outcome": "failed", "valid": False, "kept": 0, "auc": 0.0}
    why = "cannot measure /a/run /b: it failed: Traceback\n  File x\nMemoryError: " + "x" * 300
    found = rows("ray", [1.0, 1.0], why=why, **failed)
    partly = rows("daft", [1.0, 9.0, 9.0])
    partly[0] |= failed | {
        "outcome": "out of memory",
        "why": "cannot measure /a/run: it used 3,000 MB, and the limit is 2,000 MB",
    }
    view = view_of(tmp_path, [*rows("toytip-2", [10.0]), *found, *partly])
    _, ray, daft = view.contestants
    assert (ray.seconds, ray.peak_mb, ray.repeats) == (None, None, 2)
    (failure,) = ray.failures
    assert (failure.outcome, failure.repeats) == ("failed", 2)
    assert failure.cause.startswith("MemoryError: xxx")
    assert len(failure.cause) < 210
    assert daft.failures[0].cause == "it used 3,000 MB, and the limit is 2,000 MB"
    assert (daft.failures[0].outcome, daft.failures[0].repeats) == ("out of memory", 1)
    assert daft.seconds == (9.0, 9.0, 9.0, 2)
    assert [(item.peer, item.outcome) for item in verdicts(view)[:1]] == [("ray", WIN)]


def test_an_invalid_result_is_not_a_figure(tmp_path):
    view = view_of(tmp_path, [*rows("toytip-2", [10.0]), *rows("polars_defaults", [1.0], auc=0.51)])
    peer = view.contestants[1]
    assert peer.seconds is None
    assert (peer.failures[0].outcome, peer.failures[0].cause[:11]) == ("invalid", "AUC 0.51000")
    assert [item.outcome for item in verdicts(view)] == [UNDECIDED]


OWN = [10.0, 10.2, 9.9]
INTERVAL = {"to": "toytip-2", "difference": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("own", "peer", "columns", "metric", "outcome", "text"),
    [
        (OWN, [20.0, 20.1, 20.0], {}, "time", WIN, "toytip needs 0.50 times the time (0."),
        (OWN, [5.0, 5.0, 5.1], {}, "time", LOSS, "toytip needs 1.99 times the time"),
        (OWN, [10.0, 10.3, 9.8], {}, "time", UNDECIDED, ": 10.0 s, compared with 10.0 s."),
        (
            [10.0],
            [20.0],
            {},
            "time",
            UNDECIDED,
            "0.50 times the time: 10.0 s, compared with 20.0 s. Measured once",
        ),
        (OWN, OWN, {"peak_mb": 1500.0}, "memory", WIN, "0.33 times the memory"),
        (
            OWN,
            OWN,
            {"auc": 0.8701},
            "quality",
            UNDECIDED,
            "0.0001 lower (no interval was measured): 0.8700, compared with 0.8701.",
        ),
        (
            OWN,
            OWN,
            {"auc_difference": {**INTERVAL, "low": -0.02, "high": -0.01}},
            "quality",
            WIN,
            "+0.0100 to +0.0200",
        ),
        (
            OWN,
            OWN,
            {"auc_difference": {**INTERVAL, "low": 0.01, "high": 0.02}},
            "quality",
            LOSS,
            "\N{MINUS SIGN}0.0200 to \N{MINUS SIGN}0.0100",
        ),
        (
            OWN,
            OWN,
            {"auc_difference": {**INTERVAL, "low": -0.01, "high": 0.02}},
            "quality",
            UNDECIDED,
            "\N{MINUS SIGN}0.0200 to +0.0100",
        ),
        (  # toytip is better on these trips, but an equal model can be as good
            OWN,
            OWN,
            {"auc_difference": {**INTERVAL, "low": -0.003, "high": -AUC_MARGIN}},
            "quality",
            UNDECIDED,
            "+0.0015 to +0.0030",
        ),
        (
            OWN,
            OWN,
            {"auc_difference": {**INTERVAL, "to": "x", "low": 0.1}},
            "quality",
            UNDECIDED,
            "no interval",
        ),
        (OWN, [20.0, 20.1, 20.0], {"noisy": True}, "time", WIN, "Other work used the machine."),
    ],
)
def test_a_comparison_in_words(tmp_path, own, peer, columns, metric, outcome, text):
    view = view_of(tmp_path, [*rows("toytip-2", own), *rows("peer", peer, **columns)])
    (verdict,) = [item for item in verdicts(view) if item.metric == metric]
    assert (verdict.peer, verdict.outcome) == ("peer", outcome)
    assert text in verdict.text


def test_a_difference_without_an_interval(tmp_path):
    difference = {"to": "toytip-2", "difference": 0.01, "low": None, "high": None}
    view = view_of(tmp_path, [*rows("toytip-2", [9.0]), *rows("peer", [8.0], auc_difference=difference)])
    assert view.contestants[1].auc_interval is None
    assert [item.outcome for item in verdicts(view) if item.metric == "quality"] == [UNDECIDED]


def test_a_loss_of_toytip_that_did_not_finish(tmp_path):
    failed = {"outcome": "timeout", "valid": False, "why": "it ran for more than 9 s", "kept": 0, "auc": 0.0}
    view = view_of(tmp_path, [*rows("toytip-2", [9.0], **failed), *rows("peer", [8.0])])
    assert [(item.outcome, item.text) for item in verdicts(view)] == [
        (LOSS, "toytip has no result: timeout.")
    ]


def test_a_view_has_only_rows_that_were_measured_under_equal_conditions(tmp_path):
    """Both layouts of the folder are read. Rows of other benchmarks do not count."""
    write(tmp_path, rows("toytip-2", [10.0]))
    later = {"run": "2026-01-02T00:00:00Z", "series": "defaults"}
    for change in ({}, {"cold": True}, {"memory_cap_mb": 4000}, {"cores": 8}):
        write(tmp_path, rows("toytip-2", [5.0], **later, **change), "2026-01-02/machine.jsonl")
    few = {"rows": 50_000, "kept": 50_000}
    write(tmp_path, rows("toytip-2-new-month", [5.0], **later, **few), "2026-01-02/machine.jsonl")
    others = [
        {"name": "one trip", "workload": "serving"},
        {"name": "good", "workload": "auc-band", "auc": 0.6},
    ]
    write(tmp_path, others, "2026-01-02/machine.jsonl")
    views = load_views(tmp_path)
    assert sorted(len(view.contestants) for view in views) == [1, 1, 1, 1, 2]
    (month,) = [item for view in views for item in view.contestants if item.rows == 50_000]
    assert month.notes == ("50,000 trips",), "a contender that does less work is marked"
    assert {view.file for view in views} == {"defaults.jsonl", "2026-01-02/machine.jsonl"}
    assert {view.cache.key for view in views} == {"warm", "cold"}


def test_the_first_view_of_a_workload_has_the_most_contenders(tmp_path):
    write(tmp_path, [*rows("toytip-2", [10.0]), *rows("peer", [8.0])])
    for run in ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"):
        write(tmp_path, rows("toytip-2", [5.0], run=run))
    partial = {"run": "2026-04-01T00:00:00Z", "partial": True}
    write(tmp_path, [*rows("toytip-2", [10.0], **partial), *rows("peer", [8.0], **partial)])
    small = {"workload": "eleven-features", "rows": 10_000, "kept": 10_000}
    write(tmp_path, rows("toytip-2", [5.0], **small), "small.jsonl")
    views = load_views(tmp_path)
    assert [(view.workload, view.date.label) for view in views] == [
        ("eleven-features", "2026-01-01 08:30, 1 contender"),
        ("defaults", "2026-01-01 08:30, 2 contenders"),
        ("defaults", "2026-03-01 00:00, 1 contender"),
        ("defaults", "2026-02-01 00:00, 1 contender"),
        ("defaults", "2026-04-01 00:00, 2 contenders, partial"),
    ]


def test_a_file_that_is_not_json_is_an_error(tmp_path):
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(results.InvalidInputError, match=r"cannot read .*bad\.jsonl"):
        load_views(tmp_path)


def test_text_of_a_file_is_not_markup(tmp_path):
    write(tmp_path, rows("</script><b>x", [10.0]))
    text = page.benchmark_page(tmp_path)
    assert "</script><b>x" not in text
    assert data_of(text)[0]["contestants"][0]["name"] == "</script><b>x"


def test_the_table_of_wins_and_losses(tmp_path):
    columns = {"series": "1.2-million", "workload": "eleven-features", "synthetic": True}
    found = [
        *rows("toytip-2", [10.0, 10.0, 10.1], **columns),
        *rows("slow", [20.0, 20.0, 20.1], **columns),
        *rows("small", [10.0, 10.0, 10.1], peak_mb=100.0, **columns),
    ]
    write(tmp_path, found, "1.2-million.jsonl")
    text = fill("<!-- results: conclusions -->\n<!-- end of results -->", Results(tmp_path))
    assert text.splitlines()[2] == (
        "- **1,000,000 rows, synthetic.** toytip is faster than `slow`. toytip needs more memory than `small`. "
        "The comparison of the time with `small` is undecided. The comparison of the memory with `slow` is "
        "undecided. The comparison of the quality with `slow` and `small` is undecided."
    )
    text = fill("<!-- results: wins-and-losses -->\n<!-- end of results -->", Results(tmp_path))
    assert text.splitlines()[4:7] == [
        "| 1,000,000 rows, synthetic | time (ratio) | `slow` 0.50 |  | `small` 1.00 |",
        "| 1,000,000 rows, synthetic | memory (ratio) |  | `small` 5.00 | `slow` 1.00 |",
        "| 1,000,000 rows, synthetic | AUC (difference) |  |  | `slow` 0, `small` 0 |",
    ]


FAILED = {"valid": False, "kept": 0, "auc": None}
CRASHED = {
    **FAILED,
    "outcome": "failed",
    "why": "cannot measure ray: it failed with exit code 1: NameError: `x`",
}
TOO_SLOW = {**FAILED, "outcome": "timeout", "why": "cannot measure toytip-2: it ran for more than 9 s"}
CRASH = "`ray` has no result (failed): `it failed with exit code 1: NameError: 'x'`."
TIMEOUT = "`toytip-2` has no result (timeout): `it ran for more than 9 s`."


@pytest.mark.parametrize(
    ("own", "peer", "conclusion"),
    [
        (TOO_SLOW, CRASHED, f"No contender has a result. {TIMEOUT} {CRASH}"),
        ({}, CRASHED, f"toytip has a result, unlike `ray`. {CRASH}"),
        (TOO_SLOW, {}, f"toytip has no result, unlike `ray`. {TIMEOUT}"),
        ({}, {**CRASHED, "outcome": "not installed"}, CRASH.replace("(failed)", "(not installed)")),
    ],
    ids=["no contender", "the engine", "toytip", "not installed"],
)
def test_the_conclusions_have_the_cause_if_a_contender_has_no_result(own, peer, conclusion, tmp_path):
    columns = {"series": "1.2-million", "workload": "eleven-features", "synthetic": True}
    found = [*rows("toytip-2", [9.0], **{**columns, **own}), *rows("ray", [8.0], **{**columns, **peer})]
    write(tmp_path, found, "1.2-million.jsonl")
    newest = Results(tmp_path)
    text = fill("<!-- results: conclusions -->\n<!-- end of results -->", newest)
    assert text.splitlines()[2] == f"- **1,000,000 rows, synthetic.** {conclusion}"
    text = fill("<!-- results: wins-and-losses -->\n<!-- end of results -->", newest)
    assert text.splitlines()[2] == "This version was not measured."


def test_a_run_of_toytip_alone_has_no_conclusion(tmp_path):
    write(tmp_path, rows("toytip-2", [9.0], series="defaults"))
    text = fill("<!-- results: conclusions -->\n<!-- end of results -->", Results(tmp_path))
    assert text.splitlines()[2] == "This version was not measured."


def test_synthetic_trips_are_named_by_their_workload(tmp_path):
    for workload, series in (("eleven-features", "1.2-million"), ("fhvhv", "fhvhv")):
        columns = {"series": series, "workload": workload, "synthetic": True}
        found = [
            *rows("toytip-2", [10.0, 10.0, 10.1], **columns),
            *rows("slow", [20.0, 20.0, 20.1], **columns),
        ]
        write(tmp_path, found, f"{series}.jsonl")
    text = fill("<!-- results: conclusions -->\n<!-- end of results -->", Results(tmp_path))
    assert [line.split("**")[1] for line in text.splitlines() if line.startswith("- ")] == [
        "1,000,000 rows, synthetic.",
        "1,000,000 rows, synthetic for-hire vehicles.",
    ]
    assert load_views(tmp_path)[-1].work.label == (
        "1,000,000 trips (synthetic for-hire vehicles), nine features"
    )


def test_a_time_in_a_sentence_is_that_of_the_result_file(tmp_path):
    write(tmp_path, rows("toytip-2", [10.0, 14.0, 11.0], series="defaults"))
    value = "takes <!-- seconds: defaults {} -->9 s<!-- end of value -->, at most."
    expected = value.format("toytip-2").replace("9 s", "11.0 s")
    assert fill(value.format("toytip-2"), Results(tmp_path)) == expected
    assert ">not measured<" in fill(value.format("ray"), Results(tmp_path))
