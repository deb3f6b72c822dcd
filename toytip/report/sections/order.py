"""sections: the parts of a report in their order; one that fails is a line on the page, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toytip.report.blocks import MissingBlock, Section
from toytip.report.facts import Facts
from toytip.report.sections import data, drift, model, run

SectionBuilder = Callable[[Facts], Section]
SECTION_ORDER: tuple[tuple[str, str, SectionBuilder], ...] = (
    ("first", "Look at this first", run.findings_section),
    ("ran", "What ran on what", run.run_section),
    ("rows", "Rows", run.rows_section),
    ("features", "Features by month", data.features_section),
    ("training", "Training", model.training_section),
    ("curves", "Ranking, calibration, thresholds", model.ranking_section),
    ("metrics", "Metrics", model.metrics_section),
    ("slices", "Slices", model.slices_section),
    ("leaning", "What the model leans on", data.importance_section),
    ("drift", "Drift and performance", drift.drift_section),
    ("zones", "Zones", data.zones_section),
    ("time", "Time and memory", run.time_section),
    ("lineage", "Lineage", run.lineage_section),
)


def build_sections(facts: Facts) -> Iterator[Section]:
    """Yield the parts of a report. Whatever is wrong with one, the others are told."""
    for name, title, make in SECTION_ORDER:
        try:
            yield make(facts)
        except Exception as error:  # noqa: BLE001 - a picture that fails must not take the page with it
            yield Section(
                name, title, "", [MissingBlock(f"This part failed: {type(error).__name__}: {error}")]
            )
