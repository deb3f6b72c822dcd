"""The result of a small run, and the exact keys of its JSON."""

from toytip.evaluation.gate import Decision, GateDecision
from toytip.pipeline.context import StageDecision
from toytip.pipeline.result import ModelInfo, RowCounts, RunLinks, RunResult, RunTiming, SourceInfo, TableInfo

TABLE = TableInfo(version="v1", path="st/dev/trips/version=v1", manifest="st/v1.json", rows=3, bytes=90)
RUN_RESULT = RunResult(
    version="v1",
    store="st",
    env="dev",
    origin=SourceInfo(taxi="green", months=("2023-01",), source="data", source_bytes_read=100),
    rows=RowCounts(read=4, kept=3, rejected=1),
    rejects={"out_of_month": 1},
    tables={"trips": TABLE},
    model=ModelInfo(version="v1", rounds=8, features=("pickup_hour",), threshold=0.5, path="st/models"),
    metrics={},
    promotion=GateDecision(
        name="toytip-dev-green",
        uri="sqlite:///registry.db",
        model_version=1,
        aliases=("champion",),
        decision=Decision.PROMOTED,
        is_champion=True,
        promotion_reasons=(),
        checks=(),
    ),
    timing=RunTiming(
        elapsed_seconds=1.5,
        rows_per_second=2.7,
        stage_seconds={"train": 1.0},
        stage_rows={"train": 3},
        stage_memory_mb={"train": 80.0},
        peak_memory_mb=90.0,
        workers=2,
    ),
    links=RunLinks(
        dashboard_url="http://127.0.0.1:8787/status",
        live_dashboard_url=None,
        report_path=None,
        performance_report_path="st/v1.dask.html",
        evaluation_path="st/v1.json",
    ),
    stage_decisions={"train": StageDecision(reused=False, reason="the store has no earlier version")},
    leakage_warnings={},
    evaluation={},
    monitoring=None,
    warnings=("a warning",),
)
RUN_KEYS = {
    "version", "store", "env", "taxi", "months", "source", "rows", "rejects", "tables", "model", "metrics", "promotion",
    "elapsed_seconds", "rows_per_second", "stage_seconds", "stage_rows", "stage_memory_mb", "peak_memory_mb", "workers",
    "dashboard_url", "live_dashboard_url", "report_path", "performance_report_path", "stage_decisions",
    "source_bytes_read", "leakage_warnings", "evaluation", "evaluation_path", "monitoring", "warnings",
}  # fmt: skip
