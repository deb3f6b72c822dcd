"""sections: the parts of a report in their order; one that fails is a line on the page, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toytip.report import quality, ran, trips
from toytip.report.blocks import MissingBlock, Section
from toytip.report.facts import Facts

SectionBuilder = Callable[[Facts], Section]
SECTION_ORDER: tuple[tuple[str, str, SectionBuilder], ...] = (
    ("first", "Look at this first", ran.findings_section),
    ("ran", "What ran on what", ran.run_section),
    ("rows", "Rows", ran.rows_section),
    ("features", "Features by month", trips.features_section),
    ("training", "Training", quality.training_section),
    ("curves", "Ranking, calibration, thresholds", quality.ranking_section),
    ("metrics", "Metrics", quality.metrics_section),
    ("slices", "Slices", quality.slices_section),
    ("leaning", "What the model leans on", trips.importance_section),
    ("drift", "Drift and decay", trips.drift_section),
    ("zones", "Zones", trips.zones_section),
    ("time", "Time and memory", ran.time_section),
    ("lineage", "Lineage", ran.lineage_section),
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
