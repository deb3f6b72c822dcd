"""Tests of the plan of a run: its split, stages, and the memory that it needs."""

import io

import pytest
from rich.console import Console

from tests.support.projects import MYTIPS
from toytip.cluster import ClusterShape
from toytip.config import Settings
from toytip.core.months import parse_months
from toytip.errors import ConfigError, PlanError
from toytip.pipeline.context import describe_shared_cores
from toytip.pipeline.plan import (
    RunPlan,
    announce_stages,
    estimate_memory,
    print_plan,
    require_enough_memory,
)
from toytip.progress.tracker import Progress
from toytip.sources.source import Source, SourceFile

MONTHS = parse_months("2023-01:2023-04")


@pytest.fixture
def source():
    files = [
        SourceFile(
            uri=f"green_{month}.parquet",
            taxi="green",
            month=month,
            rows=1_000,
            bytes=9,
            modified="",
            missing_columns=(),
        )
        for month in MONTHS
    ]
    return Source(taxi="green", files=tuple(files))


def settings(**changes):
    return Settings.load(**{"partition_rows": 600, "rounds": 8, **changes})


def test_a_plan_has_the_split_and_the_partitions(source):
    plan = RunPlan.of(settings(), source)
    assert [str(month) for month in MONTHS[:2]] == sorted({str(p.month) for p in plan.training_partitions})
    assert {str(partition.month) for partition in plan.validation_partitions} == {"2023-03"}
    assert len(plan.partitions) == 8
    assert plan.training_file_rows == 3_000
    assert plan.params.rounds == 8


def test_a_plan_without_validation(source):
    plan = RunPlan.of(settings(validation_month="none"), source)
    assert plan.validation_partitions == ()
    assert plan.training_file_rows == 3_000


def test_a_split_that_is_impossible_is_rejected_before_the_run(source):
    with pytest.raises(ConfigError):
        RunPlan.of(settings(test_months="2023-01"), source)


def test_the_stages_are_announced_in_order(source):
    progress = Progress("none")
    announce_stages(RunPlan.of(settings(), source), progress, train=True, gate=True)
    stages = {stage.name: stage for stage in progress.state().stages}
    assert list(stages) == [
        "featurize",
        "check",
        "preprocess",
        "train",
        "tune",
        "infer",
        "evaluate",
        "monitor",
        "gate",
    ]
    assert [stages[name].total for name in ("featurize", "preprocess", "train", "tune")] == [8, 4, 8, 2]
    assert set(stages["preprocess"].month_progress) == {"2023-01", "2023-02"}


@pytest.mark.parametrize(
    ("months", "line"),
    [
        ({"test_months": "2023-04"}, None),
        ({"test_months": "2023-03"}, "months outside of the split: 2023-04 (scored, but not evaluated)\n"),
    ],
)
def test_months_without_a_split_are_named(source, months, line):
    out = io.StringIO()
    print_plan(RunPlan.of(settings(**months), source), Progress("plain", Console(file=out, width=200)))
    assert (line in out.getvalue()) if line else ("outside of the split" not in out.getvalue())


def shape_of(memory_limit, training_memory):
    return ClusterShape(
        workers=2, threads=1, ranks=1, memory_limit=memory_limit, training_memory=training_memory
    )


@pytest.mark.parametrize(
    ("memory_limit", "training_memory", "message", "hint"),
    [
        (
            300e6,
            600e6,
            "each needs about 250 MB and has 300 MB, of which 70 % are usable",
            "Set a larger --memory-limit, or fewer --workers. An idle worker needs about 250 MB.",
        ),
        (
            357.2e6,
            714e6,
            "each needs about 250 MB and has 357 MB, of which 70 % are usable",
            "--partition-rows 150",
        ),
        (
            400e6,
            350e6,
            "training needs about 251 MB per host, and the workers of a host have 350 MB, of which 70 %",
            "fewer --train-months",
        ),
        (400e6, 400e6, None, None),
        (0, 100e6, None, None),
    ],
)
def test_workers_with_too_little_memory_are_rejected(source, memory_limit, training_memory, message, hint):
    plan, shape = RunPlan.of(settings(), source), shape_of(int(memory_limit), int(training_memory))
    if message is None:
        require_enough_memory(plan, shape, Progress("none"))
        return
    with pytest.raises(PlanError, match=message) as error:
        require_enough_memory(plan, shape, Progress("none"))
    assert hint in error.value.hint


def test_training_needs_memory_for_its_rows_in_addition(source):
    needed = estimate_memory(RunPlan.of(settings(), source), shape_of(0, 0))
    assert needed.worker == 250e6 + 500 * 900
    assert needed.training - needed.worker > 3_000 * 70


@pytest.mark.parametrize(
    ("threads", "cores", "line"),
    [
        (2, 2, ""),
        (1, 8, ""),
        (8, 2, "8 threads share 2 cores (one thread per core is as fast, and needs less memory)"),
        (2, 1, "2 threads share 1 core (one thread per core is as fast, and needs less memory)"),
    ],
)
def test_more_threads_than_cores_are_described(threads, cores, line):
    assert describe_shared_cores(threads, cores) == line


def test_a_plan_uses_the_module_of_the_project(source, tmp_path):
    module = tmp_path / "mytips.py"
    module.write_text(MYTIPS)
    project = {"module": str(module)}
    plan = RunPlan.of(settings(project=project), source)
    assert plan.features == (*plan.dataset.feature_set("payment"), *plan.dataset.target_rates)
    assert "is_weekend" in plan.features
    assert plan.dataset.module.base == "tlc"
    with pytest.raises(ConfigError, match=r"cannot train on segment 'card': .*mytips.py does not") as caught:
        RunPlan.of(settings(project=project, segment="card"), source)
    assert caught.value.hint == "Set --segment all or cash."
    with pytest.raises(ConfigError, match=r"cannot read the module .*other.py of the project: No such file"):
        RunPlan.of(settings(project={"module": f"{tmp_path}/other.py"}), source)
