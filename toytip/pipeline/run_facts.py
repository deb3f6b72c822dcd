"""The facts of a run for its run manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from toytip.cluster.package_versions import local_versions
from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.redact import mask_credentials
from toytip.core.tables import MODELS
from toytip.evaluation.gate import Decision, GateDecision
from toytip.evaluation.report import EvaluationReport
from toytip.monitoring.data_check import DataCheck
from toytip.pipeline.result import SYNTHETIC_SOURCE
from toytip.sources.source import Source
from toytip.store.manifest import digest
from toytip.store.refs import status_of_model
from toytip.store.run_manifest import RunFacts, RunStatus, SettingValue
from toytip.store.store import Store

if TYPE_CHECKING:
    from toytip.pipeline.context import PublishedTables

# All other settings determine the content of a run. The source files are compared by their content.
OPERATIONAL_SETTINGS = frozenset(
    {
        *("project", "source", "source_endpoint_url", "months", "data_dir", "base_url", "params"),
        *("synth_rows_per_month", "synth_seed"),
        *("store", "endpoint_url", "env", "version_id", "full_refresh", "explain"),
        *("workers", "threads_per_worker", "memory_limit", "scheduler", "cluster", "clusters", "adapt"),
        *("tls_ca_file", "tls_cert", "tls_key", "state_dir", "start_method", "allow_project_code"),
        *("dashboard_port", "live_dashboard", "progress"),
    }
)


def content_settings(settings: Settings) -> dict[str, SettingValue]:
    """Return the settings that determine the content of a run, by name."""
    values = settings.to_masked_dict()
    return {name: value for name, value in values.items() if name not in OPERATIONAL_SETTINGS}


def run_fingerprint(
    settings: Settings,
    source: Source,
    dataset: Dataset,
    checksums: Mapping[str, str],
    model: str | None = None,
    accepted: Iterable[str] = (),
) -> str:
    """Return the fingerprint of the source files, the code and the settings of a run.

    `checksums` has the checksum of each source file, by URI without credentials. `model` is the
    version of the model, if the run does not train one. `accepted` are the months of the source
    that a person has accepted. A model determines the module of the project.
    """
    files = [(str(file.month), checksums[mask_credentials(file.uri)]) for file in source.files]
    return digest(
        {
            "taxi": source.taxi,
            "files": files,
            "settings": content_settings(settings),
            "code": local_versions(),
            "module": None if model else dataset.code_of("run"),
            "model": model,
            "accepted": sorted(accepted),
        }
    )


def gate_status(promotion: GateDecision | None) -> RunStatus:
    """Return the status that the decision of the promotion gate gives a run.

    A dry run of the gate decides nothing.
    """
    if promotion is None or promotion.decision in (Decision.WOULD_PROMOTE, Decision.WOULD_REJECT):
        return RunStatus.NOT_GATED
    return RunStatus.REFUSED if promotion.is_rejected else RunStatus.PASSED


def stage_status(store: Store, tables: PublishedTables) -> RunStatus:
    """Return the status of the tables of a single stage: that of the run that trained the model."""
    for manifest in tables.values():
        for parent in manifest.parent_versions:
            if parent.table == MODELS.name:
                return status_of_model(store, parent.version)
    return RunStatus.NOT_GATED


def describe_facts(
    settings: Settings,
    source: Source,
    data_check: DataCheck,
    model: TrainedModel | None = None,
    evaluation: EvaluationReport | None = None,
    promotion: GateDecision | None = None,
) -> RunFacts:
    """Return the source, the model and the quality of a run. A failed run has no model."""
    test = (evaluation or {}).get("test", {})
    return RunFacts(
        taxi=source.taxi,
        months=tuple(map(str, source.months)),
        source=mask_credentials(settings.source) if settings.source else SYNTHETIC_SOURCE,
        feature_set=source.dataset.feature_set_name(settings.feature_set),
        segment=model.encoding.segment if model else settings.segment,
        model=model.version if model else None,
        settings=content_settings(settings),
        metrics={segment: dict(to_json(report.metrics)) for segment, report in test.items()},
        data_check=data_check,
        gate=promotion,
    )
