"""The registry of tables: everything that depends on a table follows from its declaration."""

import pytest

from toytip.core.tables import (
    FUSED_STAGES,
    TABLES,
    get_table,
    publication_group,
    stage_modules,
    tables_published_with,
    timed_stages,
)
from toytip.errors import SchemaError


def test_names_are_unique_and_every_table_is_described():
    assert len({table.name for table in TABLES}) == len(TABLES)
    for table in TABLES:
        assert get_table(table.name) is table
        assert table.description
        assert table.made_by
        assert not (table.is_artifact and (table.columns or table.rows_are_trips)), table.name
    with pytest.raises(SchemaError, match="cannot find table 'profiles'") as refused:
        get_table("profiles")
    assert "feature_histograms" in refused.value.hint


def test_tables_of_one_stage_belong_together():
    rows = {"features", "feature_histograms", "rejects", "trips"}
    for name in rows:
        assert publication_group(name) == rows
    assert publication_group("metric_histograms") == {"predictions", "metric_histograms"}
    assert publication_group("models") == {"models"}
    assert [table.name for table in tables_published_with("trips")] == ["rejects"]


def test_a_fused_stage_has_the_code_of_its_stages():
    for fused, stages in FUSED_STAGES.items():
        assert set(stage_modules(fused)) == {module for stage in stages for module in stage_modules(stage)}
    assert "stages.profile" in stage_modules("read")
    assert set(stage_modules("train")) > set(stage_modules("preprocess"))
    assert timed_stages(get_table("features")) == ("featurize",)
    assert timed_stages(get_table("trips")) == ("featurize", "clean")
