"""A data set that a project declares itself."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed.protocol import pickle

from examples.meters.generate import generate_month
from tests.support.meters import MODULE
from tests.support.projects import module_of
from toytip.api.project import load_project as load_module
from toytip.core.columns import columns_of
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import FEATURES, PREDICTIONS
from toytip.datasets.project.loader import load_project, own_name
from toytip.datasets.project.parts import column_availability
from toytip.datasets.project.references import read_references
from toytip.errors import ConfigError, DataCheckError, SourceError
from toytip.monitoring.required_trips import require_two_labels
from toytip.pipeline.startup.project import read_project
from toytip.sources.discovery import _with_months
from toytip.stages import clean, conform, preprocess, profile
from toytip.stages.featurize import featurize

ROOT = Path(__file__).parents[2]


def own(source=MODULE, file="meters.py"):
    return load_project(module_of(source, file=file, base=""))


@pytest.fixture(scope="module")
def meters():
    return own()


def test_the_declaration_determines_the_tables(meters):
    assert (meters.is_own, meters.base, meters.time_column) == (True, meters, "read_at")
    assert meters.kinds == {"meters": 9}
    assert meters.reject_reasons[:3] == ("unreadable_value", "missing_value", "out_of_month")
    assert meters.table(FEATURES).names == [
        "trip_id",
        "read_at",
        *("meter", "heating", "kwh", "forecast", "hour", "weekday", "heating_degrees"),
        "high_use",
    ]
    assert meters.table(PREDICTIONS).names[:4] == ["trip_id", "read_at", "meter", "probability"]
    assert meters.hash_columns == ("meter", "heating", "kwh", "forecast", "heating_degrees")
    assert meters.words.segment == "trips in the segment heat_pumps"
    assert meters.words.baseline == "mean by meter and hour"
    assert meters.segment.words.condition == "a condition on heating"
    heating = MODULE.replace('"hour": 24}', '"hour": 24, "heating": 2}')
    three = own(heating.replace('baseline=["meter", "hour"]', 'baseline=["meter", "hour", "heating"]'))
    assert three.words.baseline == "mean by meter, hour and heating"


def test_feature_sets_follow_the_moments(meters):
    assert meters.moment_names == ("reading", "forecast")
    assert meters.feature_set("reading") == ("meter", "heating", "kwh", "hour", "weekday")
    assert set(meters.feature_set(None)) - set(meters.feature_set("reading")) == {
        "forecast",
        "heating_degrees",
    }
    assert meters.target_rate_set("reading") == ("meter_rate", "meter_hour_rate")
    assert meters.feature_inputs["meter_hour_rate"] == ("meter", "read_at")
    times = column_availability(meters)
    assert (times["read_at"], times["forecast_at"], times["forecast"]) == ("reading", "forecast", "forecast")
    with pytest.raises(ConfigError, match="feature set 'pickup'") as caught:
        meters.feature_set("pickup")
    assert caught.value.hint == "Choose reading, forecast."


def test_another_process_gets_the_data_set_by_value(meters):
    assert pickle.loads(pickle.dumps(meters)) is meters
    assert (own_name(module_of(MODULE, base="")), own_name(module_of("x = 1", file="x.py"))) == (
        "meters",
        None,
    )


def test_a_month_is_converted_cleaned_and_featurized(meters):
    raw = pa.Table.from_pandas(generate_month("2024-03"), preserve_index=False)
    partition = SourcePartition(
        taxi="meters", month=Month(2024, 3), uri="x", start=0, stop=len(raw), number=0
    )
    trips = conform.conform(raw, partition, meters)
    kept, rejects = clean.clean(trips, meters)
    assert len(kept) + len(rejects) == len(raw)
    frame = raw.to_pandas()
    expected = {
        "missing_value": int(frame["consumption"].isna().sum()),
        "negative_consumption": int((frame["consumption"] < 0).sum()),
    }
    assert clean.count_reasons(rejects) == expected
    assert min(expected.values()) > 10
    features = featurize(kept, meters)
    assert features["trip_id"].iloc[0] // 10**9 == 9_202_403
    assert features["heating"].isin([0, 1]).all()
    good = frame[frame["consumption"] >= 0]
    np.testing.assert_array_equal(features["high_use"], good["next_kwh"] > 1.5)
    np.testing.assert_array_equal(features["hour"], good["timestamp"].dt.hour)
    np.testing.assert_array_equal(features["weekday"], good["timestamp"].dt.day_of_week)
    histograms = profile.profile(features, meters)
    assert histograms.query("feature == 'high_use'").empty
    assert (
        histograms.query("feature == 'label' and in_segment")["trips"].sum()
        == (good["heating"] == "heat pump").sum()
    )


@pytest.mark.parametrize(
    ("zone", "text", "local"),
    [
        ("Europe/Berlin", "2024-03-31 00:30:00+00:00", "2024-03-31T01:30"),
        ("Europe/Berlin", "2024-03-31 01:30:00+00:00", "2024-03-31T03:30"),
        ("UTC", "2024-03-31 01:30:00+02:00", "2024-03-30T23:30"),
    ],
)
def test_instants_become_local_times(zone, text, local):
    dataset = own(MODULE.replace("Europe/Berlin", zone))
    for column in (pa.array([text]), pa.array(pd.to_datetime([text]))):
        (times,) = conform.read_columns(pa.table({"Timestamp": column}), "x", dataset).values()
        assert times.array[0] == np.datetime64(local, "us")


def test_the_example_rows_have_usual_missing_and_unusual_values(meters):
    rows = meters.golden_rows(pd.Timestamp("2024-03-01").to_pydatetime())
    assert {row["heating"] for row in rows} == {"GAS", "HEAT PUMP"}
    assert {row["forecast"] is None for row in rows} == {True, False}
    assert len({row["kwh"] for row in rows}) == len(rows)
    assert rows[0]["forecast_at"] == "2024-03-01T01:20:00"
    filled = meters.placeholders({"read_at": np.array(["2024-03-01T01"], "datetime64[us]")})
    assert (filled["meter"], filled["kwh"], filled["heating"]) == (7, 0.8, 0)
    assert filled["forecast_at"][0] == np.datetime64("2024-03-01T01:20")


# An edit of the module, and the stages whose code it changes.
EDITS = {
    "comment": (("HIGH_USE_KWH = 1.5", "HIGH_USE_KWH = 1.5  # a lot"), ()),
    "field": (('("consumption",)', '("use",)'), ("clean", "featurize", "train")),
    "time zone": (("Europe/Berlin", "Europe/Paris"), ("clean", "featurize", "train")),
    "description": (("Number of the meter, from 0.", "Number of the meter."), ()),
    "example": (("example=0.8", "example=0.7"), ()),
    "label": (("HIGH_USE_KWH = 1.5", "HIGH_USE_KWH = 1.4"), ("featurize", "train")),
    "rule": (('rows["kwh"] < 0', 'rows["kwh"] < -1'), ("clean", "train")),
}


@pytest.mark.parametrize(("change", "stages"), EDITS.values(), ids=EDITS)
def test_an_edit_changes_the_code_of_its_stages_only(meters, change, stages):
    assert change[0] in MODULE
    edited = own(MODULE.replace(*change))
    changed = [
        name for name in ("clean", "featurize", "train") if edited.code_of(name) != meters.code_of(name)
    ]
    assert tuple(changed) == stages


# A change of the module, and a part of the message and of the hint.
BAD_DATASETS = {
    "name": (('    "meters",', '    "Meters 1",'), "its name is 'Meters 1'", "lower-case"),
    "name of a kind": (('    "meters",', '    "green",'), "its name is 'green'", "another name"),
    "kind of a field": (
        ('"kwh", "amount"', '"kwh", "number"'),
        "kind of the field kwh is 'number'",
        "amount",
    ),
    "field twice": (('Field("kwh"', 'Field("meter"'), "two fields have the name meter", "Rename"),
    "name of a field": (('("consumption",)', '("Meter ID",)'), "name", "Rename"),
    "reserved field": (('Field("kwh"', 'Field("probability"'), "column probability of its own", "own_prob"),
    "key of a path": (('Field("kwh"', 'Field("month"'), "column month of its own", 'Field("own_month"'),
    "text twice": (('("HEAT PUMP", 1)', '("GAS", 1)'), "has the text 'GAS' twice", "Remove"),
    "score column": (
        ('score_columns=["meter"]', 'score_columns=["metre"]'),
        "score_columns cannot contain 'metre'",
        "meter?",
    ),
    "availability": (
        ('available="forecast", req', 'available="later", req'),
        "'later'",
        "reading, forecast, settled",
    ),
    "moment": (('"forecast": "forecast_at"', '"forecast": "kwh"'), "no field kwh with times", "read_at"),
    "time zone": (("Europe/Berlin", "Europe/Bonn"), "no time zone 'Europe/Bonn'", "Europe/Berlin"),
    "text": (('("GAS", 0)', '("gas", 0)'), "not in upper case", "upper case"),
    "example": (("example=0.8", 'example="much"'), "example of the field kwh is 'much'", "a number"),
    "duration": (('example="20min"', 'example="soon"'), "is 'soon'", "duration"),
    "group": (('"meter": 64', '"kwh": 64'), "groups cannot contain 'kwh'", "meter"),
    "size": (('"meter": 64', '"meter": 0'), "group meter has 0 values", "positive"),
    "groups": (('"meter": 64', '"meter": 10**7'), "groups", "at most"),
    "baseline": (('baseline=["meter"', 'baseline=["kwh"'), "baseline cannot contain 'kwh'", "meter"),
    "slice": (('slices=["heating"', 'slices=["heatin"'), "slices cannot contain 'heatin'", "heating?"),
    "hour": (('hour="hour"', 'hour="hours"'), "cannot contain 'hours'", "hour?"),
    "no label": (("@label", "@feature_off"), "name 'feature_off'", "Correct"),
    "leak": (('needs=["forecast"], d', 'needs=["next_kwh"], d'), "next_kwh leaks the label", "Remove"),
    "too early": (
        ('available="forecast", needs', 'available="reading", needs'),
        "forecast is known at forecast",
        'available="forecast"',
    ),
    "name of another type": (('    "meters",', "    3,"), "the argument name is 3", "type str"),
    "list of moments": (
        ('moments={"reading": "read_at", "forecast": "forecast_at"}', 'moments=["read_at"]'),
        "the argument moments is ['read_at']",
        "Mapping[str, str]",
    ),
    "texts without codes": (
        ('texts=(("GAS", 0), ("HEAT PUMP", 1))', 'texts=("GAS", "HEAT PUMP")'),
        "the argument texts of the field heating is ('GAS', 'HEAT PUMP')",
        "tuple[tuple[str, int], ...]",
    ),
    "texts with texts": (('("GAS", 0)', '("GAS", "0")'), "the argument texts of the field heating", "int"),
    "text of a large code": (('("GAS", 0)', '("GAS", 2**25)'), "the code 33,554,432", "up to 16,777,216"),
    "texts of an amount": (
        ('Field("kwh", "amount",', 'Field("kwh", "amount", texts={"A": 1}, aliases='),
        "the field kwh has texts, and is not a code",
        "code",
    ),
    "flag": (("required=False", 'required="no"'), "the argument required of the field forecast", "bool"),
    "infinite example": (("example=0.8", 'example=float("inf")'), "the field kwh is inf", "a number"),
    "reserved name of a field": (('Field("kwh"', 'Field("__label__"'), "'__label__'", "underscore"),
    "reserved name of a rate": (('"meter_rate":', '"probability":'), "a rate is 'probability'", "another"),
    "label without leak": (
        ('@label(needs=["next_kwh"]', '@label(needs=["kwh"]'),
        "it needs only columns that features can use, and not next_kwh",
        "Set leaks",
    ),
}


@pytest.mark.parametrize(("change", "cause", "hint"), BAD_DATASETS.values(), ids=BAD_DATASETS)
def test_a_wrong_declaration_has_a_clear_error(change, cause, hint):
    source = MODULE.replace(*change)
    assert source != MODULE
    with pytest.raises(ConfigError) as caught:
        own(source, file="bad.py")
    assert "bad.py, line " in str(caught.value)
    assert cause in str(caught.value)
    assert hint in caught.value.hint


def test_a_text_is_one_name_and_a_dict_has_texts_with_codes(meters):
    source = MODULE.replace('("timestamp",)', '"timestamp"').replace('["meter"]', '"meter"')
    source = source.replace('(("GAS", 0), ("HEAT PUMP", 1))', '{"GAS": 0, "HEAT PUMP": 1}')
    dataset = own(source)
    assert dataset.fields == meters.fields
    assert (dataset.score_columns, dataset.target_encoding) == (meters.score_columns, meters.target_encoding)


def test_a_reference_table_has_the_times_of_the_data_set():
    table = """
import pandas as pd
from toytip import reference

@reference(valid_at="day", known_at="day")
def holidays():
    return pd.DataFrame({"day": pd.to_datetime(["2024-01-01"], utc=True), "name": [1]})
"""
    with pytest.raises(ConfigError, match="time zone UTC") as caught:
        read_references(module_of(MODULE + table, base=""))
    assert 'tz_convert("Europe/Berlin")' in caught.value.hint


def test_a_data_set_needs_a_label():
    start, end = MODULE.index("@label"), MODULE.index("@feature")
    with pytest.raises(ConfigError, match="the module declares no label"):
        own(MODULE[:start] + MODULE[end:])


def test_a_module_declares_one_data_set():
    second = MODULE[MODULE.index("meters = ") : MODULE.index("@label")].replace("meters = ", "others = ")
    with pytest.raises(ConfigError, match="already declares the data set meters"):
        own(MODULE + second)


def test_a_block_can_declare_the_data_set(meters):
    start, end = MODULE.index("meters = "), MODULE.index("@label")
    declaration = MODULE[start:end].replace("\n", "\n    ")
    project = own(f"{MODULE[:start]}if True:\n    {declaration}\n{MODULE[end:]}")
    assert project.name == meters.name
    assert project.code_of("clean") != meters.code_of("clean")


def test_a_project_with_data_of_its_own_reads_no_other_files(tmp_path):
    file = tmp_path / "meters.py"
    file.write_text(MODULE)
    assert load_module(file).HIGH_USE_KWH == 1.5
    with pytest.raises(ConfigError, match="declares the data set meters"):
        read_project(str(file), "green")


def test_the_hint_on_a_file_without_a_month_names_the_data_set():
    with pytest.raises(SourceError, match="its name contains no month") as caught:
        _with_months(SimpleNamespace(uri="readings.parquet", taxi="meters"), None, [])
    assert "meters_2023-01.parquet" in caught.value.hint


def test_the_guide_shows_the_code_of_the_example():
    page = (ROOT / "docs" / "how-to" / "own-data.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        for part in re.split(r"\n\n(?=meters = )", block):
            assert part.strip() in MODULE


def test_the_error_about_one_label_names_the_function(meters):
    with pytest.raises(
        DataCheckError, match="the label high_use is false for all 9 training trips"
    ) as caught:
        require_two_labels(meters, 9, 0)
    assert caught.value.hint == (
        "Add months or trips to the source, or correct the label function high_use in meters.py."
    )


def test_the_error_about_one_label_names_the_segment(meters):
    with pytest.raises(
        DataCheckError, match="true for all 9 training trips in the segment heat_pumps"
    ) as caught:
        require_two_labels(meters, 9, 9, "heat_pumps")
    assert caught.value.hint.endswith("To train on all trips, set --segment all.")


MINIMAL = """
from toytip import Field, OwnDataset, label

meters = OwnDataset(
    "meters",
    fields=[
        Field("read_at", "time", ("timestamp",)),
        Field("kwh", "amount", ("consumption",)),
        Field("next_kwh", "amount", available="settled"),
    ],
    moments={"reading": "read_at"},
)

@label(needs=["next_kwh"])
def high_use(rows):
    return rows["next_kwh"] > 1.5
"""


def test_a_minimal_data_set_has_a_constant_baseline():
    dataset = own(MINIMAL, file="minimal.py")
    raw = pa.Table.from_pandas(generate_month("2024-03"), preserve_index=False)
    partition = SourcePartition(
        taxi="meters", month=Month(2024, 3), uri="x", start=0, stop=len(raw), number=0
    )
    kept, _ = clean.clean(conform.conform(raw, partition, dataset), dataset)
    features = featurize(kept, dataset)
    assert dataset.segment_mask(columns_of(features)).sum() == 0
    split = Split(
        train=TimeRange("2024-03-01", "2024-03-20"),
        validation=None,
        test=TimeRange("2024-03-20", "2024-04-01"),
    )
    counts = preprocess.count_values(features, ("kwh",), split, "all", dataset)
    encoding = preprocess.fit_encoding(counts, split, "all", dataset)
    rates = encoding.baseline_rate(columns_of(features))
    assert rates.shape == (len(features),)
    assert np.unique(rates) == pytest.approx([encoding.positives / encoding.rows])
    assert preprocess.encode(features, encoding)["kwh"].nunique() > 100
