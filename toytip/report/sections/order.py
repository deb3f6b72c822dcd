"""The sections of a report, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from toytip.report.blocks import Section
from toytip.report.facts import Facts
from toytip.report.sections import data, drift, model, run
from toytip.report.sections.importance import importance_section
from toytip.report.sections.zones import zones_section

Builder = Callable[[Facts], Section]

SECTIONS: tuple[Builder, ...] = (
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
# Only these sections contain the result of the run. All charts are in other sections.
RESULT_SECTIONS = (run.findings_section, run.run_section, run.time_section)
NOTHING_PREPARED: Mapping[Builder, Section] = MappingProxyType({})


def _sections_of(facts: Facts) -> Iterator[Builder]:
    """Yield the sections of a report. Not every data set has zones."""
    return (build for build in SECTIONS if facts.has_zones or build is not zones_section)


def prepare_sections(facts: Facts) -> dict[Builder, Section]:
    """Return the sections that do not contain the result of the run."""
    return {build: build(facts) for build in _sections_of(facts) if build not in RESULT_SECTIONS}


def build_sections(facts: Facts, prepared: Mapping[Builder, Section] = NOTHING_PREPARED) -> Iterator[Section]:
    """Yield the sections of a report. A section that fails contains the error."""
    for build in _sections_of(facts):
        yield prepared[build] if build in prepared else build(facts)
