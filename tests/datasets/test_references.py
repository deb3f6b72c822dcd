"""Features of a project that need a reference table."""

import numpy as np
import pandas as pd
import pytest
from distributed.protocol import pickle
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.models import train_model
from tests.support.projects import HEADER, module_of
from tests.support.trips import make_trips
from toytip.core.columns import columns_of
from toytip.datasets.project.loader import load_project
from toytip.datasets.project.references import read_references
from toytip.errors import ConfigError
from toytip.models.trip_columns import required_fields
from toytip.stages.featurize import compute_features
from toytip.store.artifacts import model_from_bytes, model_to_json

WEATHER = (
    HEADER
    + """
import pandas as pd
from toytip import reference

@reference(key="PULocationID", valid_at="hour", known_at="measured", valid_for="2h")
def weather():
    return pd.read_csv("weather.csv", parse_dates=["hour", "measured"])

@feature(available="pickup", needs=["weather"], dtype="float32")
def rain(trips):
    return trips["weather.rain"]

@feature(available="dropoff", needs=["weather", "trip_distance"], dtype="int8")
def long_wet_trip(trips):
    return (trips["weather.rain"] > 0) & (trips["trip_distance"] > 2)
"""
)
ROWS = """PULocationID,hour,measured,rain
74,2023-01-10 07:00,2023-01-10 07:30,1.5
74,2023-01-10 08:00,2023-01-10 08:10,2.5
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the rows of the reference table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weather.csv").write_text(ROWS)
    return tmp_path


@pytest.fixture
def project(folder):
    return load_project(read_references(module_of(WEATHER)))


def features_of(project, *changes):
    trips = columns_of(make_trips(*changes))
    return pd.DataFrame(compute_features(trips, project.features[-2:]))


def test_a_feature_gets_the_rows_that_were_known_when_it_becomes_available(project):
    """The pickup is at 8:00, and the dropoff at 8:20. The row of 8:00 becomes known at 8:10."""
    late = {"pickup_at": "2023-01-10 11:00:00", "dropoff_at": "2023-01-10 11:10:00"}
    features = features_of(project, {}, {"PULocationID": 75}, late)
    assert features["rain"].tolist()[0] == 1.5
    assert features["rain"].isna().tolist() == [False, True, True]
    assert features["long_wet_trip"].tolist() == [1, 0, 0]


@pytest.mark.parametrize("column", ["hour", "measured"])
def test_a_time_after_the_pickup_is_too_late_by_less_than_a_microsecond(folder, column):
    late = "2023-01-10 08:00:00.0000001"
    hour, measured = (late if name == column else "2023-01-10 07:00" for name in ("hour", "measured"))
    rows = f"PULocationID,hour,measured,rain\n74,{hour},{measured},1.5\n"
    (folder / "weather.csv").write_text(rows)
    project = load_project(read_references(module_of(WEATHER)))
    assert features_of(project, {})["rain"].isna().tolist() == [True]


def test_dates_of_arrow_are_times(folder):
    change = ('"measured"])', '"measured"]).assign(measured=pd.array([DAY] * 2, "date32[pyarrow]"))')
    source = WEATHER.replace(*change).replace("import pandas", "import datetime\nimport pandas")
    source += "DAY = datetime.date(2023, 1, 10)\n"
    project = load_project(read_references(module_of(source)))
    assert features_of(project, {})["rain"].tolist() == [2.5]


def test_a_local_variable_can_have_the_name_of_a_table(folder):
    source = WEATHER.replace(
        'return trips["weather.rain"]', 'weather = trips["weather.rain"]\n    return weather'
    )
    assert load_project(read_references(module_of(source))).features[-2].name == "rain"


def test_a_feature_needs_the_columns_that_join_its_tables(project):
    assert project.feature_inputs["rain"] == ("PULocationID", "pickup_at")
    assert set(project.feature_inputs["long_wet_trip"]) == {
        *("trip_distance", "PULocationID", "pickup_at", "dropoff_at")
    }
    assert "rain" in project.feature_set("pickup")
    assert "long_wet_trip" not in project.feature_set("pickup")


def test_other_processes_and_models_get_the_rows(project, folder):
    (folder / "weather.csv").unlink()
    assert pickle.loads(pickle.dumps(project)) is project
    model = train_model("yellow", dataset=project)
    loaded = model_from_bytes(model_to_json(model), model.booster)
    assert loaded.encoding.dataset is project
    assert {"PULocationID", "pickup_at"} <= set(required_fields(model))


def test_new_rows_change_the_code_from_featurize_on(project, folder):
    (folder / "weather.csv").write_text(f"{ROWS}75,2023-01-10 07:00,2023-01-10 07:30,0.5\n")
    changed = load_project(read_references(module_of(WEATHER)))
    assert changed.code_of("clean") == project.code_of("clean")
    assert changed.code_of("featurize") != project.code_of("featurize")
    assert changed.module.digest != project.module.digest


def test_a_manifest_has_only_the_checksum(project):
    module = project.module.without_rows()
    assert [rows.checksum for rows in module.references] == [
        rows.checksum for rows in project.module.references
    ]
    assert len(pickle.dumps(module)) < len(pickle.dumps(project.module))
    assert load_project(module) is project, "this process knows the rows"


def test_a_process_without_the_rows_has_a_clear_error(folder, monkeypatch):
    monkeypatch.setattr("toytip.datasets.project.loader._KNOWN_ROWS", {})
    module = read_references(module_of(WEATHER + "\n# other text\n")).without_rows()
    project = load_project(module)  # enough to read features
    with pytest.raises(ConfigError, match="cannot join the reference weather: the project does not have"):
        features_of(project, {})


TIMES = "T = np.datetime64('2023-01-10T07:30', 'ns') + np.array([1, 2], 'timedelta64[ns]')\n"
# A change of the module or of the rows, and a part of the error and of the hint.
BAD = {
    "availability of the key": (
        (WEATHER.replace('"PULocationID"', '"DOLocationID"'), ROWS.replace("PU", "DO")),
        "rain (mytips.py, line 11): it is declared as available at pickup, but DOLocationID is known at dropoff",
        "dropoff",
    ),
    "leaking key": (
        (WEATHER.replace('"PULocationID"', '"tip_amount"'), ROWS.replace("PULocationID", "tip_amount")),
        "tip_amount leaks the label",
        "Remove",
    ),
    "unknown key": (
        (WEATHER.replace('"PULocationID"', '"zone"'), ROWS),
        "no column zone",
        "It has PULocationID",
    ),
    "no time": ((WEATHER.replace('"measured"', '"known"', 1), ROWS), "no column known", "It has"),
    "text as time": (
        (WEATHER.replace('["hour", "measured"]', '["hour"]'), ROWS),
        "the column measured has values of type",
        "parse_dates",
    ),
    "missing time": (
        (WEATHER, ROWS.replace("2023-01-10 08:10", "")),
        "measured has no time in row 1",
        "Remove this row",
    ),
    "time zone": (
        (WEATHER, ROWS.replace("2023-01-10 07:30", "2023-01-10 07:30Z").replace("08:10", "08:10Z")),
        "the times of the column measured have the time zone UTC",
        "tz_convert",
    ),
    "duplicate row": (
        (WEATHER, ROWS + "74,2023-01-10 07:00,2023-01-10 07:30,9\n"),
        "row 2 (counted from 0) has the same PULocationID, hour, measured as an earlier row",
        "Remove one",
    ),
    "text": ((WEATHER, ROWS.replace("2.5", "much")), "rain has values of type", "Use numbers"),
    "missing key": ((WEATHER, ROWS + ",2023-01-10 08:00,2023-01-10 08:10,1\n"), "missing in a row", "Remove"),
    "no values": (
        (WEATHER, "PULocationID,hour,measured\n74,2023-01-10 07:00,2023-01-10 07:30\n"),
        "has no values",
        "Add a column",
    ),
    "duration": ((WEATHER.replace('"2h"', '"soon"'), ROWS), "valid_for is 'soon'", "1D"),
    **{
        f"duration of {text}": (
            (WEATHER.replace('"2h"', f'"{text}"'), ROWS),
            f"valid_for is '{text}', not a positive duration",
            "1D",
        )
        for text in ("-1D", "0D", "NaT")
    },
    "no duration": ((WEATHER.replace('"2h"', "pd.Timedelta(0)"), ROWS), "not a positive duration", "1D"),
    "two columns": (
        (
            WEATHER.replace(
                '"measured"])', '"measured"]).set_axis(["PULocationID", "hour", "measured", "hour"], axis=1)'
            ),
            ROWS,
        ),
        "several columns of the table have the name hour",
        "Rename",
    ),
    "time zone of Arrow": (
        (
            WEATHER.replace('"measured"])', '"measured"]).astype({"hour": "timestamp[us, UTC][pyarrow]"})'),
            ROWS,
        ),
        "the times of the column hour have the time zone UTC",
        'tz_convert("America/New_York")',
    ),
    "far future": (
        (WEATHER.replace('"measured"])', '"measured"]).assign(measured=np.datetime64("300000", "s"))'), ROWS),
        "a time of the column measured is out of range",
        "1 to 9999",
    ),
    "duplicate row after rounding": (
        (WEATHER.replace('"measured"])', '"measured"]).assign(hour=T[0], measured=T)') + TIMES, ROWS),
        "row 1 (counted from 0) has the same PULocationID, hour, measured",
        "Remove one",
    ),
    "time as key": (
        (WEATHER.replace('"PULocationID"', '"pickup_at"'), ROWS.replace("PULocationID", "pickup_at")),
        "there is no column pickup_at",
        "Choose from VendorID",
    ),
    "ID as key": (
        (WEATHER.replace('"PULocationID"', '"trip_id"'), ROWS.replace("PULocationID", "trip_id")),
        "there is no column trip_id",
        "Choose from VendorID",
    ),
    "direct use": (
        (
            WEATHER.replace('return trips["weather.rain"]', 'return trips["weather.rain"] + len(weather())'),
            ROWS,
        ),
        "rain (mytips.py, line 11): its code uses the function weather, which returns rows that become known after the trip",
        "needs",
    ),
    "use of all rows": (
        (
            WEATHER
            + "TABLE = weather()\n@rule\ndef wet(trips):\n    return trips['fare_amount'] > TABLE.rain[0]\n",
            ROWS,
        ),
        "it reads the file",
        "@reference",
    ),
    "no frame": (
        (WEATHER.replace('["hour", "measured"])', '["hour", "measured"]).to_dict()'), ROWS),
        "dict",
        "Data",
    ),
    "error": (
        (WEATHER.replace("weather.csv", "other.csv"), ROWS),
        "(mytips.py, line 9): FileNotFound",
        "Correct",
    ),
    "column of the table": (
        (WEATHER.replace('return trips["weather.rain"]', 'return trips["weather.rains"]'), ROWS),
        "did not get the column weather.rains",
        "Did you mean weather.rain?",
    ),
    "other column of the table": (
        (WEATHER.replace('return trips["weather.rain"]', 'return trips["weather.snow_depth"]'), ROWS),
        "did not get the column weather.snow_depth",
        "Choose from weather.rain.",
    ),
    "table not in needs": (
        (WEATHER.replace('needs=["weather"]', 'needs=["pickup_at"]'), ROWS),
        "did not get the column weather.rain",
        "Add weather to needs.",
    ),
    "missing values": (
        (WEATHER.replace('"float32"', '"int8"'), ROWS),
        "not a number of type int8",
        "float32",
    ),
    "name of the table": (
        (WEATHER.replace("def weather", "def extra").replace('"weather"', '"extra"'), ROWS),
        "toytip has a column of this name",
        "Rename",
    ),
}


@pytest.mark.parametrize(("inputs", "cause", "hint"), BAD.values(), ids=BAD)
def test_an_error_has_the_line_and_a_hint(folder, inputs, cause, hint):
    source, rows = inputs
    (folder / "weather.csv").write_text(rows)
    with pytest.raises(ConfigError) as caught:
        load_project(read_references(module_of(source)))
    assert cause in str(caught.value)
    assert "mytips.py, line" in str(caught.value)
    assert hint in caught.value.hint


minutes = st.integers(0, 600)
weather_rows = st.lists(st.tuples(st.integers(74, 76), minutes, minutes, st.integers(0, 3)), max_size=8)


@settings(max_examples=40)
@given(rows=weather_rows, later=weather_rows, pickup=st.integers(0, 500), length=st.integers(1, 90))
def test_whatever_becomes_known_later_changes_no_feature(rows, later, pickup, length):
    """The law of reference tables, for the features of a module."""
    midnight = pd.Timestamp("2023-01-10")

    def features(table):
        frame = pd.DataFrame(table, columns=["PULocationID", "hour", "measured", "rain"])
        for name in ("hour", "measured"):
            frame[name] = midnight + pd.to_timedelta(frame[name].astype("int64"), unit="min")
        frame = frame.astype({"PULocationID": "float64", "rain": "float64"})
        source = WEATHER.replace("pd.read_csv", "FRAMES.pop").replace(
            '"weather.csv", parse_dates=["hour", "measured"]', ""
        )
        module = module_of(source.replace("import pandas as pd", "from tests.support.projects import FRAMES"))
        FRAMES[:] = [frame]
        return features_of(load_project(read_references(module)), *trips)

    from tests.support.projects import FRAMES

    times = {"pickup_at": pickup, "dropoff_at": pickup + length}
    times = {name: str(midnight + pd.Timedelta(minutes=value)) for name, value in times.items()}
    trips = [{**times, "PULocationID": zone} for zone in (74, 75)]
    rows = list({row[:3]: row for row in rows}.values())
    later = list({row[:3]: row for row in later}.values())
    future = [(zone, hour, pickup + length + 1 + known, rain) for zone, hour, known, rain in later]
    np.testing.assert_array_equal(features(rows), features([*rows, *future]))
