"""Typed results of commands whose results do not come from the pipeline.

The fields are the keys of `--json`.
"""

from __future__ import annotations

from dataclasses import dataclass

from toytip.evaluation.report import EvaluationReport, Metrics
from toytip.pipeline.doctor import CheckResult
from toytip.store.maintenance import FileFault
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.refs import VersionSummary


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Metrics of predictions."""

    version: str
    """Version of the predictions."""
    metrics: dict[str, dict[str, Metrics]]
    """Metrics by split (`train`, `validation`, `test`) and segment (`all` and others)."""
    evaluation: EvaluationReport
    """Complete evaluation by split and segment, with intervals, baselines, curves and slices."""


@dataclass(frozen=True, kw_only=True)
class VersionList:
    """The versions of every table of a store."""

    versions: tuple[VersionSummary, ...]
    """The versions, sorted by table and time, oldest first."""


@dataclass(frozen=True, kw_only=True)
class VersionContents:
    """The contents of a version."""

    version: str
    """Version ID."""
    tables: dict[str, Manifest]
    """Manifest of each table, by table name."""
    report_path: str | None
    """Path of the HTML report. Null if the version has no report."""


@dataclass(frozen=True, kw_only=True)
class DownstreamVersions:
    """The versions that depend on a source file."""

    file: str
    """The source file, as given to `--downstream`."""
    versions: tuple[VersionSummary, ...]
    """The versions that depend on the file, oldest first."""


@dataclass(frozen=True, kw_only=True)
class VerificationResult:
    """The result of a verification, which reads every file of a version again."""

    version: str
    """Version ID."""
    faults: tuple[FileFault, ...]
    """Files that differ from the manifests. Empty if all files match."""


@dataclass(frozen=True, kw_only=True)
class DeletedVersions:
    """Versions and files that `toytip version gc` deletes."""

    versions: tuple[VersionRef, ...]
    """Unused versions of tables and artifacts."""
    incomplete_versions: tuple[str, ...]
    """Unpublished versions of killed runs."""
    orphaned_files: tuple[str, ...]
    """Data files and reports that do not belong to a kept version, and unused checkpoints."""
    bytes: int
    """Total size of the listed versions and files in bytes."""
    deleted: bool
    """Whether the versions and files were deleted. False with `--dry-run`."""


@dataclass(frozen=True, kw_only=True)
class TagList:
    """The tags of a store."""

    tags: dict[str, str]
    """Version of each tag, by tag name."""


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """The versions that commands read by default after a rollback."""

    versions: dict[str, str]
    """The default version of each table, by table name."""


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """Performance of the parameters of a trial on one fold."""

    log_loss: float
    """Log loss of the fold's test month."""
    auc: float
    """AUC of the fold's test month."""
    rounds: int
    """Number of boosting rounds after early stopping."""


@dataclass(frozen=True, kw_only=True)
class TrialSummary:
    """A trial of a study."""

    params: dict[str, float]
    """Parameters of the trial."""
    log_loss: float
    """Mean log loss over the folds."""
    folds: tuple[FoldResult, ...]
    """Result of each fold, in the order of `fold_months`."""


@dataclass(frozen=True, kw_only=True)
class TuningSummary:
    """The result of a study."""

    best: TrialSummary
    """The trial with the lowest mean log loss."""
    baseline: TrialSummary
    """The trial with the default parameters."""
    fold_months: tuple[str, ...]
    """Test month of each fold."""
    trials: int
    """Total number of trials in the study."""
    pruned: int
    """Number of pruned trials, which were stopped before the last fold."""
    existing_trials: int
    """Number of trials that the study had before this command."""
    rows: int
    """Number of rows that each trial uses, for training and testing together."""
    max_rounds_trials: int
    """Number of trials in which a fold trained for `--rounds` rounds, without early stopping."""
    max_rounds_limited_best: bool
    """Whether a fold of the best trial trained for `--rounds` rounds, without early stopping."""
    params_file: str
    """Path of the TOML file with the best parameters."""


@dataclass(frozen=True, kw_only=True)
class ClusterAddress:
    """A started cluster."""

    cluster: str
    """Name of the cluster."""
    address: str
    """Address of the scheduler."""


@dataclass(frozen=True, kw_only=True)
class DefinedCluster:
    """A cluster that `--cluster` can name."""

    cluster: str
    """Name of the cluster."""
    kind: str
    """Kind of the cluster, for example `ssh` or `slurm`."""
    file: str
    """File with the definition of the cluster. If it is toytip.toml, its keys override those of
    clusters.toml."""
    workers: int | None
    """Number of workers in the definition. Null for the default, or if the number is adaptive."""
    address: str | None
    """Address of the scheduler. Null if the definition has no address, and `toytip cluster up` has
    not started the cluster."""


@dataclass(frozen=True, kw_only=True)
class ClusterList:
    """All defined clusters."""

    clusters: tuple[DefinedCluster, ...]
    """The clusters, in alphabetical order."""


@dataclass(frozen=True, kw_only=True)
class ClusterStop:
    """The result of stopping a cluster."""

    cluster: str
    """Name of the cluster."""
    stopped: bool
    """Whether the command stopped the cluster. False if the cluster was not running."""


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """A worker of a cluster."""

    address: str
    """Address of the worker."""
    host: str
    """Host of the worker."""
    threads: int
    """Number of threads of the worker."""
    memory_limit: int
    """Memory limit of the worker in bytes."""


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """The state of a cluster."""

    cluster: str
    """Name of the cluster."""
    running: bool
    """Whether the cluster is running."""
    address: str | None
    """Address of the scheduler. Null if the cluster is not running."""
    dashboard_url: str | None
    """Address of the Dask dashboard. Null if the cluster is not running."""
    workers: tuple[WorkerStatus, ...]
    """The workers. Empty if the cluster is not running."""


@dataclass(frozen=True, kw_only=True)
class ClusterCheck:
    """The results of the checks of a cluster."""

    cluster: str
    """Name of the cluster."""
    ok: bool
    """Whether all checks passed."""
    checks: tuple[CheckResult, ...]
    """Result of each check."""


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """New certificates and keys."""

    files: tuple[str, ...]
    """Paths of the new files."""
