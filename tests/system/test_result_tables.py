"""The tables of benchmark results in the pages: they match the committed result files."""

import shlex

import pytest

from benchmarks import __main__ as suite
from benchmarks import reruns, results
from docs.generate import benchmarks
from docs.generate.results import SERIES, SINGLE_VALUE_SERIES, Results

MACHINE = {"machine": "x86_64, Processor", "cores": 2, "machine_gb": 25.0}
PACKAGES = {"environment": {"git_commit": "0123456789abcdef", "polars": "2.1.0", "scipy": "1.0"}}


def rows(name, seconds, run="2026-01-01T00:00:00Z", **columns):
    """Return one row per repeat of a contender."""
    common = {
        "run": run,
        "name": name,
        "workers": 2,
        "trains_alike": True,
        "workload": "defaults",
        "source": "green-2023",
        "synthetic": False,
        "rows": 1_000_000,
        "kept": 990_000,
        "rounds": 300,
        "max_depth": 6,
        "auc": 0.87,
        "peak_mb": 500.0,
        "memory": [],
        "first_task_s": None,
        **MACHINE,
        **PACKAGES,
        **columns,
    }
    return [
        {**common, "repeat": repeat, "seconds": value, "stage_seconds": {"train": value / 2, "read": 1.0}}
        for repeat, value in enumerate(seconds)
    ]


@pytest.fixture
def project(tmp_path):
    """A folder with an empty folder of results, and a folder of pages."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    return tmp_path


def write(project, found, name="defaults"):
    column = "workload" if name in results.SINGLE_VALUE_WORKLOADS else "series"
    for row in found:
        results.append_result(project / "benchmarks" / "results", {**row, column: name})


def block(project, name):
    """Return the content of a block in the README of the project."""
    page = project / "README.md"
    page.write_text(f"# Page\n\n<!-- results: {name} -->\n<!-- end of results -->\n\nText\n")
    text = benchmarks.pages_with_results(project)[page]
    assert text.startswith("# Page\n\n<!-- results: ")
    assert text.endswith("\n\n<!-- end of results -->\n\nText\n")
    return text.partition("-->\n\n")[2].partition("\n\n<!--")[0]


TWO = [
    *rows("toytip-2", [10.0, 14.0, 11.0], first_task_s=1.25),
    *rows("polars_defaults", [8.0, 8.0, 10.0], auc=0.871),
]


def test_the_pages_match_the_result_files():
    assert benchmarks.outdated_pages() == [], "run `make reference`"


def test_every_committed_series_has_a_command():
    rows = results.load_results(results.RESULTS_FOLDER)
    assert {row["series"] for row in rows} <= {*SERIES, *SINGLE_VALUE_SERIES}


def test_a_committed_file_has_the_rows_of_one_date_and_machine():
    for file in results.RESULTS_FOLDER.rglob("*.jsonl"):
        rows = results.load_results(file)
        assert {row["run"][:10] for row in rows} == {file.parent.name}
        assert {row["machine_id"] for row in rows} == {file.stem}


@pytest.mark.parametrize("series", SERIES.values(), ids=lambda series: series.name)
def test_the_command_of_a_series_parses(series):
    python, option, module, *arguments = shlex.split(series.command)
    assert (python, option) == ("python", "-m")
    parser = {"benchmarks": suite, "benchmarks.reruns": reruns}[module].make_parser()
    assert parser.parse_args(arguments).series == series.name


def test_a_table_has_medians_and_ranges(project):
    write(project, TWO)
    assert block(project, "contenders defaults").splitlines()[2:] == [
        "| toytip, 2 workers | 11.0 | 10.0 to 14.0 | 90,909 | 500 | 0.8700 |",
        "| `polars_defaults` | 8.0 | 8.0 to 10.0 | 125,000 | 500 | 0.8710 |",
    ]
    assert "| defaults | toytip, 2 workers | 1.2 | 1.2 to 1.2 |" in block(project, "first-task")


def test_a_contender_that_failed_has_its_outcome_in_the_table(project):
    failed = {"outcome": "out of memory", "valid": False, "why": "it used 3,000 MB", "kept": 0, "auc": 0.0}
    write(project, [*TWO, *rows("duckdb_xgboost", (5.0,), **failed)])
    assert block(project, "contenders defaults").splitlines()[-1] == (
        "| `duckdb_xgboost` | out of memory |  |  |  |  |"
    )


def test_a_ratio_is_the_mean_of_the_repeats_with_its_interval(project):
    write(project, TWO)
    first, *others = block(project, "targets").splitlines()[2:]
    assert first.endswith("| at most 1.2 | 1.34 | 0.74 to 2.43 | no | `defaults` |"), (
        "the geometric mean of 10 / 8, 14 / 8 and 11 / 10"
    )
    assert others[0].endswith("| at most 1.3 | not measured |  |  | `defaults` |")
    assert others[10 - 1].endswith("| at most 1.5 s | 1.25 s | 1.25 to 1.25 | yes | `defaults` |")


@pytest.mark.parametrize(
    ("file", "row", "expected"),
    [
        (
            "serving",
            {"name": "list of trips", "trips_per_cpu_second": 19_999},
            "| at least 20,000 | 19,999 | one value | no |",
        ),
        (
            "serving",
            {"name": "list of trips", "trips_per_cpu_second": 20_000},
            "| at least 20,000 | 20,000 | one value | yes |",
        ),
        ("serving", {"name": "one trip", "p50_ms": 3.04}, "| at most 3 ms | 3.04 ms | one value | no |"),
        (
            "checkout",
            {"name": "make run", "environment_mb": 899.6},
            "| at most 900 MB | 900 MB | one value | yes |",
        ),
    ],
)
def test_a_value_that_was_measured_once_is_compared_with_its_target(project, file, row, expected):
    write(project, [{**row, **MACHINE, "at": "2026-01-01T00:00:00Z"}], file)
    assert expected in block(project, "targets")


def test_phases_and_other_work_add_up_to_the_time(project):
    write(project, TWO)
    lines = block(project, "phases defaults polars_defaults").splitlines()
    cells = [line.strip("| ").split(" | ")[1:] for line in lines[2:]]
    assert [sum(map(float, column)) for column in zip(*cells, strict=True)] == [11.0, 8.0]


def test_the_time_per_row_is_compared_between_files(project):
    for name, seconds, size in (("24.6-million", [60.0], 24_600_000), ("84-million", [208.0], 84_000_000)):
        changed = {"rows": size, "kept": size, "workload": "eleven-features", "auc": 0.63}
        write(project, rows("toytip-2", seconds, **changed), name)
    (line,) = [line for line in block(project, "targets").splitlines() if "time per row" in line]
    assert line.endswith("| at most 1.05 | 1.02 | one value | yes | `84-million`, `24.6-million` |")
    assert "| 24,600,000 | 2 | 0.5 | 60 |" in block(project, "sizes")


def test_the_conditions_name_the_machine_and_the_packages(project):
    write(project, TWO)
    (line,) = [line for line in block(project, "conditions").splitlines() if "green-2023" in line]
    for text in (
        "1,000,000 rows",
        "| 3 |",
        "Processor, 2 cores, 25 GB",
        "commit 0123456789ab",
        "polars 2.1.0",
    ):
        assert text in line
    assert "scipy" not in line


def test_only_the_newest_run_counts(project):
    write(project, TWO)
    write(project, rows("toytip-2", [5.0], run="2026-01-02T00:00:00Z"))
    assert block(project, "contenders defaults").splitlines()[2:] == [
        "| toytip, 2 workers | 5.0 | one value | 200,000 | 500 | 0.8700 |"
    ]


def test_a_partial_run_counts_only_without_a_complete_one(project):
    partial = {"run": "2026-01-02T00:00:00Z", "partial": True}
    write(project, rows("toytip-2", [5.0, 6.0], **partial))
    assert block(project, "contenders defaults").splitlines()[2:] == [
        "| toytip, 2 workers | 5.5 | 5.0 to 6.0 | 181,818 | 500 | 0.8700 |"
    ]
    assert "| green-2023, 1,000,000 rows | 2 (partial run) |" in block(project, "conditions")
    write(project, rows("toytip-2", [7.0]))
    assert block(project, "contenders defaults").splitlines()[2:] == [
        "| toytip, 2 workers | 7.0 | one value | 142,857 | 500 | 0.8700 |"
    ]
    assert "| green-2023, 1,000,000 rows | 1 |" in block(project, "conditions")


def test_the_machine_with_the_most_results_is_in_the_tables(project):
    write(project, TWO)
    write(project, rows("toytip-2", [5.0], run="2026-01-02T00:00:00Z", cores=64))
    files = sorted((project / "benchmarks" / "results").rglob("*.jsonl"))
    assert [file.name for file in files] == [
        "x86-64-processor-2-cores-25-gb.jsonl",
        "x86-64-processor-64-cores-25-gb.jsonl",
    ]
    assert "| toytip, 2 workers | 11.0 |" in block(project, "contenders defaults")


def test_an_invalid_result_is_an_error(project):
    write(project, [*TWO[:3], *rows("polars_defaults", [8.0], auc=0.8)])
    with pytest.raises(results.InvalidInputError, match="is invalid: AUC"):
        Results(project / "benchmarks" / "results").rows("defaults")


def test_a_missing_file_is_not_measured(project):
    for name in ("contenders 84-million", "sizes", "script", "phases defaults polars_defaults"):
        assert block(project, name) == "This version was not measured."


def test_a_changed_number_is_outdated(project):
    write(project, TWO)
    page = project / "README.md"
    page.write_text("<!-- results: contenders defaults -->\n<!-- end of results -->\n")
    page.write_text(benchmarks.pages_with_results(project)[page])
    assert benchmarks.outdated_pages(project) == []
    page.write_text(page.read_text().replace("90,909", "90,908"))
    assert benchmarks.outdated_pages(project) == ["README.md"]
