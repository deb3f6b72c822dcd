"""Packing: a model as a folder that scores wherever toytip is installed, and trips whose answers are known.

    MLmodel, requirements.txt, ...   what MLflow needs to load it (`mlflow.pyfunc`)
    artifacts/files/model.ubj        the booster
    artifacts/files/model.json       version, taxi, threshold, fitted preprocessing
    artifacts/files/model_card.json  what it learned, from what, and how well
    artifacts/files/golden_set.json  trips, and what the model says of them

`python -m toytip.models.package FOLDER` answers whether the model in a folder still says the same.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from toytip._version import __version__
from toytip.core.model import TrainedModel
from toytip.core.tlc import FIELDS
from toytip.errors import RegistryError
from toytip.models import scoring
from toytip.models.mlflow_env import silence_mlflow
from toytip.store.artifacts import model_from_bytes, model_to_json

PACKAGE_FILES_FOLDER = "artifacts/files"
MLFLOW_TYPES = {"time": "datetime", "code": "long", "amount": "double"}


def load_package(folder: Path) -> TrainedModel:
    """Read a packed model. Raises RegistryError where the folder holds none."""
    try:
        return model_from_bytes((folder / "model.json").read_bytes(), (folder / "model.ubj").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"{folder} holds no model that this toytip reads: {error!r}") from None


def write_package(folder: Path, model: TrainedModel, card: dict[str, Any]) -> None:
    """Pack a model into a folder that is not there yet."""
    files = folder.parent / "files"  # its name is kept below artifacts/
    files.mkdir(parents=True)
    (files / "model.ubj").write_bytes(model.booster)
    (files / "model.json").write_bytes(model_to_json(model))
    (files / "model_card.json").write_text(json.dumps(card, indent=1))
    trips = golden_trips(model)
    (files / "golden_set.json").write_text(
        json.dumps({"trips": trips, "probability": _score_golden_trips(model, trips)})
    )
    with silence_mlflow():
        import mlflow.pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        inputs = [
            ColSpec(
                MLFLOW_TYPES[f.kind],
                _tlc_column(f.name, model.taxi),
                required=f.name in scoring.required_fields(model),
            )
            for f in FIELDS
        ]
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"files": str(files)},
            signature=ModelSignature(Schema(inputs), Schema([ColSpec("double", "probability")])),
            pip_requirements=[f"toytip=={__version__}"],
        )
    (folder / "input_example.json").write_text(json.dumps(trips[:2], indent=1))


def _tlc_column(name: str, taxi: str) -> str:
    prefix = "lpep" if taxi == "green" else "tpep"
    return {"pickup_at": f"{prefix}_pickup_datetime", "dropoff_at": f"{prefix}_dropoff_datetime"}.get(
        name, name
    )


def golden_trips(model: TrainedModel) -> list[dict[str, Any]]:
    """Return trips of the test months, under the TLC's names: usual ones, and those with gaps and odd values."""
    start = dt.datetime.fromisoformat(model.encoding.split.test.start)
    usual = {
        "VendorID": 2, "passenger_count": 1, "trip_distance": 2.4, "PULocationID": 74, "DOLocationID": 75,
        "RatecodeID": 1, "payment_type": 1, "trip_type": 1, "fare_amount": 14.2, "extra": 0.5, "mta_tax": 0.5,
        "tolls_amount": 0.0, "improvement_surcharge": 1.0, "congestion_surcharge": 2.75,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [
        {},
        {"payment_type": 2},
        {"passenger_count": None, "RatecodeID": None, "congestion_surcharge": None, "payment_type": 0},
        {
            "PULocationID": 132,
            "DOLocationID": 230,
            "fare_amount": 70.0,
            "RatecodeID": 2,
            "tolls_amount": 6.94,
        },
        {"PULocationID": 265, "DOLocationID": 9_999},
        {"trip_distance": 0.0, "fare_amount": 3.0},
        {"trip_distance": 25.3, "fare_amount": 88.88, "extra": 2.5},
        {"passenger_count": 6, "VendorID": 1, "trip_type": 2, "RatecodeID": 5, "fare_amount": 250.0},
    ]
    trips = []
    for number, change in enumerate(changes):
        pickup = start + dt.timedelta(hours=7 * number + 1, minutes=13 * number)
        dropoff = pickup + dt.timedelta(minutes=3 + 4 * number)
        named = {"pickup_at": pickup.isoformat(), "dropoff_at": dropoff.isoformat(), **usual, **change}
        trips.append({_tlc_column(name, model.taxi): value for name, value in named.items()})
    return trips


def _score_golden_trips(model: TrainedModel, trips: list[dict[str, Any]]) -> list[float]:
    return [float(p) for p in scoring.score_trips(model, scoring.trips_to_table(trips)).probability]


def verify_package(folder: Path) -> str:
    """Score the golden trips of a packed model one by one; return what was seen.

    Raises RegistryError where one answer is not what it was, to the last bit.
    """
    model = load_package(folder)
    golden = json.loads((folder / "golden_set.json").read_text())
    for number, (trip, wanted) in enumerate(zip(golden["trips"], golden["probability"], strict=True)):
        found = _score_golden_trips(model, [trip])[0]
        if found != wanted:
            raise RegistryError(f"golden trip {number} scores {found!r}, not {wanted!r}")
    return f"{len(golden['trips'])} golden trips score as they did"


def main() -> int:
    """Check the folder that is named on the command line."""
    try:
        sys.stdout.write(verify_package(Path(sys.argv[1])) + "\n")
    except (RegistryError, OSError, ValueError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
