"""sections: the parts of a report in their order; one that fails is a line on the page, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toytip.report import quality, ran, trips
from toytip.report.blocks import Missing, Section
from toytip.report.facts import Facts

Make = Callable[[Facts], Section]
ORDER: tuple[tuple[str, str, Make], ...] = (
    ("first", "Look at this first", ran.first),
    ("ran", "What ran on what", ran.ran),
    ("rows", "Rows", ran.rows),
    ("features", "Features by month", trips.features),
    ("training", "Training", quality.training),
    ("curves", "Ranking, calibration, thresholds", quality.ranking),
    ("metrics", "Metrics", quality.metrics),
    ("slices", "Slices", quality.slices),
    ("leaning", "What the model leans on", trips.leaning),
    ("drift", "Drift and decay", trips.drift),
    ("zones", "Zones", trips.zones),
    ("time", "Time and memory", ran.time),
    ("lineage", "Lineage", ran.lineage),
)


def sections(facts: Facts) -> Iterator[Section]:
    """Yield the parts of a report. Whatever is wrong with one, the others are told."""
    for name, title, make in ORDER:
        try:
            yield make(facts)
        except Exception as error:  # noqa: BLE001 - a picture that fails must not take the page with it
            yield Section(name, title, "", [Missing(f"This part failed: {type(error).__name__}: {error}")])
