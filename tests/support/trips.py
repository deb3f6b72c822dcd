"""Trips, monthly files and published versions for tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from toytip.core.months import Month
from toytip.core.partitions import DataFile, DataFileKey
from toytip.core.tables import TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import FIELDS
from toytip.store.manifest import Manifest
from toytip.store.run_manifest import RunManifest, RunStatus

JANUARY = Month(2023, 1)
# The published months of the TLC.
REAL_DATA_DIR = Path(os.environ.get("TOYTIP_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
GOOD_TRIP: dict[str, Any] = {
    "pickup_at": "2023-01-10 08:00:00",
    "dropoff_at": "2023-01-10 08:20:00",
    "VendorID": 2,
    "passenger_count": 1,
    "trip_distance": 5.0,
    "PULocationID": 74,
    "DOLocationID": 75,
    "RatecodeID": 1,
    "payment_type": 1,
    "trip_type": 1,
    "fare_amount": 10.0,
    "tip_amount": 2.5,
    "extra": 0.5,
    "mta_tax": 0.5,
    "tolls_amount": 0.0,
    "improvement_surcharge": 0.3,
    "congestion_surcharge": 2.5,
    "airport_fee": None,
    "cbd_congestion_fee": None,
}
# A trip for the scoring server: with the TLC's names, and without a tip.
SCORING_TRIP = {
    {"pickup_at": "tpep_pickup_datetime", "dropoff_at": "tpep_dropoff_datetime"}.get(name, name): value
    for name, value in GOOD_TRIP.items()
    if name not in ("tip_amount", "trip_type")
}


def make_trips(*changes: dict[str, Any], month: Month = JANUARY) -> pd.DataFrame:
    """Return `trips`: one good trip per dictionary, with its changes, in the file of the month."""
    frame = pd.DataFrame([{**GOOD_TRIP, **change} for change in changes], columns=list(GOOD_TRIP))
    frame.insert(0, "trip_id", TLC.first_trip_id("yellow", *month) + np.arange(len(frame)))
    for name in ("pickup_at", "dropoff_at"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    return TLC.table(TRIPS).validate(frame[TLC.table(TRIPS).names].astype(TLC.table(TRIPS).dtypes))


def raw_table(rows: int = 50, month: Month = JANUARY, prefix: str = "tpep", seed: int = 1) -> pa.Table:
    """Return a raw monthly file of good trips, with the TLC's column names."""
    rng = np.random.default_rng(seed)
    pickup = np.datetime64(month.start, "us") + np.sort(rng.integers(0, 27 * 86_400, rows)).astype(
        "timedelta64[s]"
    )
    columns: dict[str, Any] = {}
    for field in FIELDS:
        if field.name == "trip_type" and prefix == "tpep":
            continue
        value = GOOD_TRIP[field.name]
        columns[field.name] = pa.array([value] * rows, pa.null() if value is None else None)
    columns["pickup_at"] = pa.array(pickup)
    columns["dropoff_at"] = pa.array(pickup + np.timedelta64(900, "s"))
    columns["tip_amount"] = pa.array(rng.choice([0.0, 1.0, 2.5, 4.0], rows))
    columns["PULocationID"] = pa.array(rng.integers(1, 264, rows))
    names = {"pickup_at": f"{prefix}_pickup_datetime", "dropoff_at": f"{prefix}_dropoff_datetime"}
    return pa.table({names.get(name, name): column for name, column in columns.items()})


def write_months(folder: Path, tables: dict[str, pa.Table], taxi: str = "yellow") -> Path:
    """Write raw tables as monthly files; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for month, table in tables.items():
        pq.write_table(table, folder / f"{taxi}_tripdata_{month}.parquet")
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the content of the Parquet files below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def make_part_record(month: Month = JANUARY, number: int = 0, fingerprint: str = "id") -> DataFile:
    """Return the record of an empty data file."""
    key = DataFileKey(month, number)
    return DataFile(
        path=key.path, rows=0, bytes=0, checksum="", month=month, number=number, fingerprint=fingerprint
    )


def make_manifest(records, version: str = "v1", table: str = "trips") -> Manifest:
    """Return the manifest of a version. A higher version number has a later creation time."""
    return Manifest(
        table=table,
        version=version,
        created_at=f"2026-01-{int(version[1:]) + 1:02d}T00:00:00+00:00",
        files=tuple(records),
        config={},
        parents=(),
        schema_digest="x",
    )


def publish_trips(store, version: str = "v1", rows: int = 3, **run: Any) -> Manifest:
    """Publish a version of `trips` with one data file."""
    record = store.write_data_file(TLC.table(TRIPS), version, make_part_record(), make_trips(*[{}] * rows))
    return publish_table(store, make_manifest([record], version), **run)


def publish_table(store, manifest: Manifest, **run: Any) -> Manifest:
    """Add a table to a version, and publish the version with this table only."""
    store.add_table(manifest)
    store.publish(make_run([manifest], **run))
    return manifest


def make_run(manifests, **changes: Any) -> RunManifest:
    """Return the run manifest of tables, published when the first table was created."""
    first = manifests[0]
    return RunManifest(
        **{
            "version": first.version,
            "command": "stage clean",
            "status": RunStatus.NOT_GATED,
            "created_at": first.created_at,
            "tables": {manifest.table: manifest.version for manifest in manifests},
            **changes,
        }
    )
