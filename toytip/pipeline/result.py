"""Typed results of a run and of a single stage, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from toytip.core.jsonable import FLATTEN, dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.core.redact import first_line, mask_credentials
from toytip.core.tables import MODELS
from toytip.errors import StoreError
from toytip.evaluation.gate import GateDecision
from toytip.evaluation.report import EvaluationReport, EvaluationSummary, Metrics
from toytip.monitoring.data_check import DataCheck
from toytip.monitoring.report import MonitoringReport
from toytip.store.manifest import Manifest
from toytip.store.run_manifest import RunStatus

if TYPE_CHECKING:
    from toytip.pipeline.context import PublishedTables, RunContext
    from toytip.store.store import Store

SYNTHETIC_SOURCE = "synthetic"


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """The source that a run read."""

    taxi: str
    """Taxi type, `yellow`, `green` or `fhvhv`."""
    months: tuple[str, ...]
    """Months of the source, as `2023-01`."""
    source: str
    """Source as set by the user, without credentials, or `synthetic` for the synthetic year."""
    source_bytes_read: int
    """Number of bytes that the workers read from the source files."""

    @property
    def synthetic(self) -> bool:
        """Whether the trips are synthetic."""
        return self.source == SYNTHETIC_SOURCE


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """Number of trips by outcome. `read` is the sum of `kept` and `rejected`."""

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
    """Path of the folder with the data files."""
    manifest: str
    """Path of the manifest."""
    rows: int
    """Number of rows, or 0 for an artifact."""
    bytes: int
    """Total size of the data files in bytes."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The model of a run, which was trained in this run or reused."""

    version: str
    """Version of the run that trained the model."""
    rounds: int
    """Number of boosting rounds of the model, after early stopping."""
    features: tuple[str, ...]
    """Names of the features, in the order of the model's columns."""
    threshold: float
    """Decision threshold on the probability."""
    path: str
    """Path of the folder with the model's files."""


@dataclass(frozen=True, kw_only=True)
class RunTiming:
    """Duration, throughput and memory of a run."""

    elapsed_seconds: float
    """Total run time in seconds."""
    rows_per_second: float
    """Number of trips read, divided by `elapsed_seconds`."""
    stage_seconds: dict[str, float]
    """Duration of each stage in seconds."""
    stage_rows: dict[str, int]
    """Number of rows that each stage processed."""
    stage_memory_mb: dict[str, float]
    """Peak memory of the run's processes on the machine that started the run, in MB, by stage. A
    stage is absent if it ended before its memory was measured."""
    peak_memory_mb: float
    """Peak memory of the run's processes on the machine that started the run, in MB."""
    workers: int
    """Number of workers at the end of the run."""


@dataclass(frozen=True, kw_only=True)
class RunLinks:
    """Addresses of the dashboards, and paths of the reports."""

    dashboard_url: str
    """Address of the Dask dashboard during the run."""
    live_dashboard_url: str | None
    """Address of the run dashboard during the run, or null if `live_dashboard` is false."""
    report_path: str | None
    """Path of the HTML report, or null if the report could not be written."""
    performance_report_path: str
    """Path of Dask's performance report."""
    evaluation_path: str
    """Path of the JSON file with the complete evaluation, including curves and slices."""


@dataclass(frozen=True, kw_only=True)
class StageDecision:
    """Why a stage runs, or why its output is reused."""

    reused: bool
    """Whether the stage reuses an earlier output, completely or in part."""
    reason: str
    """Why the stage runs, or which output it reuses."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run. `to_json` returns the object that `toytip run --json` prints."""

    version: str
    """Version of the tables that the run published."""
    store: str
    """Path or URI of the store."""
    env: str
    """Environment in the store, `dev` or `prod`."""
    status: RunStatus
    """`passed`, `not-gated`, `refused` or `failed-check`."""
    reasons: tuple[str, ...]
    """Reasons for the status `refused` or `failed-check`. Empty for any other status."""
    up_to_date: bool
    """Whether this version already had the same source, code and settings. Then the command
    published nothing, and the result is that of the earlier run."""
    origin: SourceInfo = field(metadata=FLATTEN)
    """The source that the run read."""
    rows: RowCounts
    """Number of trips that were `read`, `kept` and `rejected`."""
    rejects: dict[str, int]
    """Number of rejected trips by cleaning rule."""
    tables: dict[str, TableInfo]
    """Version and location of each table, by table name."""
    model: ModelInfo
    """The model that scored the trips."""
    metrics: dict[str, dict[str, Metrics]]
    """Metrics by split (`train`, `validation`, `test`) and segment (`all` and others)."""
    promotion: GateDecision | None
    """Decision of the promotion gate, or null if `gate` is `off`."""
    timing: RunTiming = field(metadata=FLATTEN)
    """Duration, throughput and memory."""
    links: RunLinks = field(metadata=FLATTEN)
    """Addresses and paths."""
    stage_decisions: dict[str, StageDecision]
    """Why each stage ran, or which output it reused, by stage."""
    data_check: DataCheck
    """Verdict of the data check on each month."""
    leakage_warnings: dict[str, float]
    """Single-feature AUC of each feature that may leak the label."""
    evaluation: EvaluationSummary
    """Evaluation by split and segment, without curves and slices."""
    monitoring: MonitoringReport | None
    """Monitoring report of the months after the training months, or null without such months."""
    warnings: tuple[str, ...]
    """Warnings of the run, in the order in which they were printed."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the result from which `to_json` made a record.

        Raises pydantic's ValidationError, a ValueError, if a key is missing or has the wrong type.
        """
        groups = {part.name: record for part in fields(cls) if part.metadata == FLATTEN}
        return TypeAdapter(cls).validate_python({**record, **groups})


def save_run_result(store: Store, result: RunResult) -> None:
    """Store the result of a run. Raises StoreError if it cannot be written."""
    with store.writing():
        store.file_io.write(
            store.layout.run_result(result.version), dump_json(to_json(result), indent=1).encode()
        )


def read_run_result(store: Store, version: str) -> RunResult | None:
    """Return the stored result of a run, or None if the store has none.

    Raises StoreError if the file is damaged.
    """
    name = store.layout.run_result(version)
    try:
        with store.reading(passed_through=FileNotFoundError):
            return RunResult.from_json(json.loads(store.file_io.read(name)))
    except FileNotFoundError:
        return None
    except ValueError as error:
        uri = mask_credentials(store.uri_of(name))
        raise StoreError(f"cannot read {uri}: it is not the result of a run ({first_line(error)})") from None


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
    """Return the result of a single stage."""
    return StageResult(
        version=context.version,
        tables=describe_tables(context, published),
        stage_seconds=context.progress.stage_seconds,
    )


def describe_tables(context: RunContext, published: PublishedTables) -> dict[str, TableInfo]:
    """Return the version and location of published tables, by table name."""
    return {name: describe_table(context, manifest) for name, manifest in published.items()}


def describe_table(context: RunContext, manifest: Manifest) -> TableInfo:
    """Return the version and location of a published table, without credentials."""
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
    """Return the version, size and location of a model."""
    return ModelInfo(
        version=model.version,
        rounds=model.rounds,
        features=tuple(model.encoding.feature_names),
        threshold=model.threshold,
        path=mask_credentials(context.store.version_uri(MODELS.name, model.version)),
    )
