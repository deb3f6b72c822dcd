"""The targets of the project for the results of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from docs.generate.results import Figure, Results


@dataclass(frozen=True)
class Target:
    """A figure with its highest allowed value, or with its lowest allowed value (`at_least`)."""

    label: str
    series: tuple[str, ...]
    """Names of the series."""
    limit: float
    measure: Callable[[Results], Figure | None]
    unit: str = ""
    at_least: bool = False

    def is_met(self, figure: Figure) -> bool:
        """Return whether a figure meets the target."""
        return figure.value >= self.limit if self.at_least else figure.value <= self.limit


TARGETS = (
    Target(
        "time of toytip (2 workers) / time of `polars_defaults`, default settings",
        ("defaults",),
        1.2,
        lambda results: results.ratio("defaults", "toytip-2", "polars_defaults"),
    ),
    Target(
        "time of toytip (8 workers) / time of `polars_defaults`, default settings",
        ("defaults",),
        1.3,
        lambda results: results.ratio("defaults", "toytip-8", "polars_defaults"),
    ),
    Target(
        "time of toytip (2 workers) / time of `polars_xgboost`, 1.2 million rows",
        ("1.2-million",),
        1.1,
        lambda results: results.ratio("1.2-million", "toytip-2", "polars_xgboost"),
    ),
    Target(
        "time of toytip (2 workers) / time of `polars_xgboost`, 24.6 million rows",
        ("24.6-million",),
        0.55,
        lambda results: results.ratio("24.6-million", "toytip-2", "polars_xgboost"),
    ),
    Target(
        "peak memory of toytip (2 workers) / peak memory of `polars_xgboost`, 24.6 million rows",
        ("24.6-million",),
        0.45,
        lambda results: results.ratio("24.6-million", "toytip-2", "polars_xgboost", "peak_mb"),
    ),
    Target(
        "time of toytip (2 workers) / time of `lower_bound`, 24.6 million rows",
        ("24.6-million",),
        1.05,
        lambda results: results.ratio("24.6-million", "toytip-2", "lower_bound"),
    ),
    Target(
        "time of toytip with 8 workers / time of toytip with 2 workers, 24.6 million rows",
        ("24.6-million",),
        1.1,
        lambda results: results.ratio("24.6-million", "toytip-8", "toytip-2"),
    ),
    Target(
        "time per row with 84 million rows / time per row with 24.6 million rows",
        (
            "84-million",
            "24.6-million",
        ),
        1.05,
        lambda results: results.ratio_per_row("84-million", "24.6-million", "toytip-2"),
    ),
    Target(
        "time of the same command again",
        ("reruns",),
        3,
        lambda results: results.figure("reruns", "toytip-2-unchanged"),
        " s",
    ),
    Target(
        "time to score a new month with the champion / time of a complete run",
        ("reruns",),
        0.167,
        lambda results: results.ratio("reruns", "toytip-2-new-month", "toytip-2"),
    ),
    Target(
        "time from the command to the first task (2 workers)",
        ("defaults",),
        1.5,
        lambda results: results.figure("defaults", "toytip-2", "first_task_s"),
        " s",
    ),
    Target(
        "time to score one trip by HTTP, without SHAP values (median)",
        ("serving",),
        3,
        lambda results: results.single_value("serving", "one trip", "p50_ms"),
        " ms",
    ),
    Target(
        "trips per CPU second of the scoring server, lists of 1,000 trips",
        ("serving",),
        20_000,
        lambda results: results.single_value("serving", "list of trips", "trips_per_cpu_second"),
        at_least=True,
    ),
    Target(
        "size of the environment that `make run` installs",
        ("checkout",),
        900,
        lambda results: results.single_value("checkout", "make run", "environment_mb"),
        " MB",
    ),
    Target(
        "time of `make test`, with the installation of the development tools",
        ("checkout",),
        300,
        lambda results: results.single_value("checkout", "make test", "seconds"),
        " s",
    ),
)
