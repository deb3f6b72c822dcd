"""The sections of a report, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toytip.report.blocks import Section
from toytip.report.facts import Facts
from toytip.report.sections import data, drift, model, run
from toytip.report.sections.importance import importance_section
from toytip.report.sections.zones import zones_section

SECTIONS: tuple[Callable[[Facts], Section], ...] = (
    run.findings_section,
    run.run_section,
    run.rows_section,
    data.features_section,
    model.training_section,
    model.ranking_section,
    model.metrics_section,
    model.slices_section,
    importance_section,
    drift.drift_section,
    zones_section,
    run.time_section,
    run.lineage_section,
)


def build_sections(facts: Facts) -> Iterator[Section]:
    """Yield the sections of a report. A section that fails contains the error."""
    for build in SECTIONS:
        yield build(facts)
