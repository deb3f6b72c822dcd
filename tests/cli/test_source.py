"""`toytip source`."""

from tests.support.runs import parse_summary, run_toytip


def test_synth_writes_the_requested_months(tmp_path):
    folder = tmp_path / "x"
    size = ("--rows-per-month", 50, "--months", "2021-02:2021-03")
    report = parse_summary(run_toytip("source", "synth", folder, *size, "--workers", 1, "--json"))
    assert (report["file_count"], report["months"]) == (2, ["2021-02", "2021-03"])
    assert sorted(path.name for path in folder.iterdir()) == [
        f"yellow_tripdata_2021-0{month}.parquet" for month in (2, 3)
    ]
