"""Typed results of a run and of a single stage, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from pydantic import TypeAdapter

from toytip.core.jsonable import FLATTEN
from toytip.core.model import TrainedModel
from toytip.core.redact import mask_credentials
from toytip.core.tables import MODELS
from toytip.evaluation.gate import GateDecision
from toytip.evaluation.report import EvaluationReport, EvaluationSummary, Metrics
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline.context import PublishedTables, RunContext, StageDecision
from toytip.store.manifest import Manifest

SYNTHETIC_SOURCE = "synthetic"


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """The source that a run read."""

    taxi: str
    """Taxi type, `yellow` or `green`."""
    months: tuple[str, ...]
    """Months of the source, as `2023-01`."""
    source: str
    """Folder, glob or URI of the source files, or `synthetic` for the built-in year."""
    source_bytes_read: int
    """Bytes of the source files that the workers read."""

    @property
    def synthetic(self) -> bool:
        """Whether the trips are generated."""
        return self.source == SYNTHETIC_SOURCE


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """Number of trips by outcome: `read` is the sum of `kept` and `rejected`."""

    read: int
    """Number of trips in the source files."""
    kept: int
    """Number of trips that passed all cleaning rules."""
    rejected: int
    """Number of trips that a cleaning rule rejected."""


@dataclass(frozen=True, kw_only=True)
class TableInfo:
    """Version and location of a published table or artifact."""

    version: str
    """Version of the table."""
    path: str
    """Folder of the data files."""
    manifest: str
    """Path of the manifest."""
    rows: int
    """Number of rows, or 0 for an artifact."""
    bytes: int
    """Size of the data files in bytes."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The trained model, or the reused one."""

    version: str
    """Version of the model."""
    rounds: int
    """Number of boosting rounds of the model, after early stopping."""
    features: tuple[str, ...]
    """Names of the features, in the order of the model's columns."""
    threshold: float
    """Decision threshold on the probability."""
    path: str
    """Folder of the model's files."""


@dataclass(frozen=True, kw_only=True)
class RunTiming:
    """Duration, throughput and memory of a run."""

    elapsed_seconds: float
    """Total run time in seconds."""
    rows_per_second: float
    """Trips read, divided by `elapsed_seconds`."""
    stage_seconds: dict[str, float]
    """Duration of each stage in seconds."""
    stage_rows: dict[str, int]
    """Number of rows that each stage processed."""
    stage_memory_mb: dict[str, float]
    """Peak memory of all processes in MB, for each stage that lasted at least one sample."""
    peak_memory_mb: float
    """Peak memory of all processes of the run on this machine, in MB."""
    workers: int
    """Number of workers at the end of the run."""


@dataclass(frozen=True, kw_only=True)
class RunLinks:
    """Addresses of the dashboards, and paths of the reports."""

    dashboard_url: str
    """Address of the Dask dashboard during the run."""
    live_dashboard_url: str | None
    """Address of the run dashboard during the run, or null if `live_dashboard` is off."""
    report_path: str | None
    """Path of the HTML report, or null if it could not be written."""
    performance_report_path: str
    """Path of Dask's performance report."""
    evaluation_path: str
    """Path of the complete evaluation, with calibration and threshold curves and slices."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run. `to_json` returns the object that `toytip run --json` prints."""

    version: str
    """Version of the tables that the run published."""
    store: str
    """Path or URI of the store."""
    env: str
    """Environment in the store, `dev` or `prod`."""
    origin: SourceInfo = field(metadata=FLATTEN)
    """The source that the run read."""
    rows: RowCounts
    """Number of trips `read`, `kept` and `rejected`."""
    rejects: dict[str, int]
    """Number of rejected trips by reason."""
    tables: dict[str, TableInfo]
    """Version and location of each table, by table name."""
    model: ModelInfo
    """The model that scored the trips."""
    metrics: dict[str, dict[str, Metrics]]
    """Metrics by split (`train`, `validation`, `test`) and segment (`all`, `card`)."""
    promotion: GateDecision | None
    """Decision of the promotion gate, or null if `gate` is `off`."""
    timing: RunTiming = field(metadata=FLATTEN)
    """Duration, throughput and memory."""
    links: RunLinks = field(metadata=FLATTEN)
    """Addresses and paths."""
    stage_decisions: dict[str, StageDecision]
    """Why each stage ran, or which output it reused."""
    leakage_warnings: dict[str, float]
    """Single-feature AUC of each feature that may leak the label."""
    evaluation: EvaluationSummary
    """Evaluation by split and segment, without curves and slices."""
    monitoring: MonitoringReport | None
    """Monitoring of the months after training, or null if there is no such month."""
    warnings: tuple[str, ...]
    """Warnings of the run, in order."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the result that `to_json` turned into `record`.

        Raises pydantic's ValidationError, a ValueError, if a key is missing or has another type.
        """
        groups = {part.name: record for part in fields(cls) if part.metadata == FLATTEN}
        return TypeAdapter(cls).validate_python({**record, **groups})


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The result of a single stage. `to_json` returns the object that `--json` prints."""

    version: str
    """Version of the tables that the stage published."""
    tables: dict[str, TableInfo]
    """Version and location of each table, by table name."""
    stage_seconds: dict[str, float]
    """Duration of each stage in seconds."""


def describe_stage(context: RunContext, published: PublishedTables) -> StageResult:
    """Return the result of a stage that was run on its own."""
    return StageResult(
        version=context.version,
        tables=describe_tables(context, published),
        stage_seconds=context.progress.stage_seconds,
    )


def describe_tables(context: RunContext, published: PublishedTables) -> dict[str, TableInfo]:
    """Return version and location of published tables, by table name."""
    return {name: describe_table(context, manifest) for name, manifest in published.items()}


def describe_table(context: RunContext, manifest: Manifest) -> TableInfo:
    """Return version and location of a published table, without credentials."""
    store, table, version = context.store, manifest.table, manifest.version
    return TableInfo(
        version=version,
        path=mask_credentials(store.version_uri(table, version)),
        manifest=mask_credentials(store.manifest_uri(table, version)),
        rows=manifest.rows,
        bytes=manifest.bytes,
    )


def metrics_by_segment(report: EvaluationReport) -> dict[str, dict[str, Metrics]]:
    """Return the metrics of an evaluation by split and segment."""
    return {
        split: {segment: evaluation.metrics for segment, evaluation in segments.items()}
        for split, segments in report.items()
    }


def describe_model(context: RunContext, model: TrainedModel) -> ModelInfo:
    """Return version, size and location of a model."""
    return ModelInfo(
        version=model.version,
        rounds=model.rounds,
        features=tuple(model.encoding.feature_names),
        threshold=model.threshold,
        path=mask_credentials(context.store.version_uri(MODELS.name, model.version)),
    )
