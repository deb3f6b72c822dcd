"""The layouts of the TLC's files of high-volume for-hire vehicles, and how to recognize them."""

from __future__ import annotations

from collections.abc import Collection

from toytip.core.dataset.field_names import spelling_of
from toytip.core.dataset.layout import Layout
from toytip.datasets.tlc.fhvhv.fields import source_column


def kinds_in_columns(names: Collection[str]) -> list[str]:
    """Return `fhvhv` if there is the license number of a company, which no other file has.

    >>> kinds_in_columns(["hvfhs_license_num"]), kinds_in_columns(["dispatching_base_num"])
    (['fhvhv'], [])
    """
    return ["fhvhv"] if "hvfhslicensenum" in set(map(spelling_of, names)) else []


LAYOUT = Layout(
    source_column=source_column,
    kinds_in_columns=kinds_in_columns,
    detect_kind=lambda names: next(iter(kinds_in_columns(names)), None),
    unusable_kind=lambda _: None,
    other_layout=lambda _: None,
    schema_versions=(("cbd_congestion_fee", "since 2025 (cbd_congestion_fee)"),),
    oldest_schema_version="before 2025",
)
