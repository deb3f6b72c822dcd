"""The zone lookup table, in the forms in which people keep it."""

import pyarrow.csv as pv
import pytest

from tests.support.runs import require_error
from tests.support.trips import raw_table, write_months
from toytip.config import Settings
from toytip.errors import SourceError
from toytip.sources import zones
from toytip.sources.discovery import open_source

LINES = (
    '"LocationID","Borough","Zone","service_zone"',
    '1,"EWR","Newark Airport","EWR"',
    '57,"Queens","Corona","Boro Zone"',
    '57,"Queens","Corona","Boro Zone"',
    '264,"Unknown","N/A","N/A"',
    '265,"N/A","Outside of NYC","N/A"',
    '999,"Queens","Nowhere","N/A"',
)
TEXT = "\n".join(LINES)
FORMS = {
    "LF": TEXT,
    "CRLF": TEXT.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + TEXT,
    "other spellings": TEXT.replace("LocationID", " locationid ").replace("Borough", "BOROUGH"),
    "empty lines": TEXT.replace("\n", "\n\n") + "\n\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", zones.ZONE_LOOKUP_NAMES)
def test_a_lookup_table_is_found_near_the_source_and_read(form, name, tmp_path):
    write_months(tmp_path / "trips", {"2023-01": raw_table(50)})
    (tmp_path / name).write_bytes(FORMS[form].encode())
    settings = Settings.load(data_dir=str(tmp_path / "nothing"))
    boroughs = zones.read_boroughs_near(settings, str(tmp_path / "trips"))
    assert [boroughs[zone] for zone in (0, 1, 2, 57, 264, 265)] == [
        *("unknown", "EWR", "unknown", "Queens", "Unknown", "N/A")
    ]
    assert zones.read_zone_names(tmp_path / name)[57] == "Corona"


def test_a_lookup_table_among_csv_files_is_not_a_source(tmp_path):
    pv.write_csv(raw_table(50), tmp_path / "yellow_2023-01.csv")
    for name in zones.ZONE_LOOKUP_NAMES:
        (tmp_path / name).write_text(TEXT)
    assert open_source(str(tmp_path)).rows == 50


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"<!DOCTYPE html>\n<p>", "locationid is missing"),
        (b"LocationID,Zone\n1,EWR\n", "borough is missing"),
        (b"LocationID,Borough\nx,EWR\n", "it has a different structure"),
        (b"LocationID,Borough\n,EWR\n", "it has a different structure"),
    ],
)
def test_another_file_is_an_error_before_the_work(content, cause, tmp_path, invoke_cli):
    source = write_months(tmp_path / "in", {f"2023-0{month}": raw_table(60) for month in (1, 2, 3)})
    path = tmp_path / "taxi_zone_lookup.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError):
        zones.read_boroughs(path)
    done = invoke_cli("run", "--source", source, "--store", tmp_path / "store", "--progress", "none")
    require_error(done, f"it is not the TLC's zone lookup file ({cause})", "TOYTIP_ZONE_LOOKUP_FILE")
    assert not (tmp_path / "store").exists()
