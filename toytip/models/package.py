"""The packaged model: a folder for MLflow, with a model card and a golden set.

    MLmodel, requirements.txt, ...   files of MLflow (`mlflow.pyfunc`)
    artifacts/files/model.ubj        booster
    artifacts/files/model.json       version, taxi type, threshold, fitted encoding
    artifacts/files/model_card.json  training data, parameters and evaluation
    artifacts/files/golden_set.json  trips, and the probabilities that the model gave them
    artifacts/files/reference*       histograms of the months that the model learned from

`python -m toytip.models.package FOLDER` checks that the model in a folder scores its golden set
with the stored probabilities.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from toytip._version import __version__
from toytip.core.jsonable import dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.core.text import plural, verb
from toytip.datasets.project.trust import allow_stored_code
from toytip.errors import RegistryError
from toytip.models import scoring
from toytip.models.card import CARD_FILE, ModelCard
from toytip.models.mlflow_env import silence_mlflow
from toytip.models.reference import write_reference
from toytip.monitoring.history import MonitoringHistory
from toytip.store.artifacts import model_from_bytes, model_to_json

PACKAGE_FILES_FOLDER = "artifacts/files"
GOLDEN_SET_FILE = "golden_set.json"


def load_package(folder: Path) -> TrainedModel:
    """Return the model in a folder of package files.

    Raises RegistryError if a file is missing or has a different format.
    """
    try:
        return model_from_bytes((folder / "model.json").read_bytes(), (folder / "model.ubj").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"cannot read the model in {folder}: {error!r}") from None


def write_package(folder: Path, model: TrainedModel, card: ModelCard, reference: MonitoringHistory) -> None:
    """Write a model and its reference as a package to `folder`, which must not exist yet."""
    files = folder.parent / "files"  # MLflow copies this folder to artifacts/files
    files.mkdir(parents=True)
    (files / "model.ubj").write_bytes(model.booster)
    (files / "model.json").write_bytes(model_to_json(model))
    (files / CARD_FILE).write_text(dump_json(to_json(card), indent=1))
    write_reference(files, reference)
    trips = golden_trips(model)
    golden_set = {"trips": trips, "probability": _score(model, trips)}
    (files / GOLDEN_SET_FILE).write_text(dump_json(golden_set))
    _save_pyfunc(folder, files, model)
    (folder / "input_example.json").write_text(dump_json(trips[:2], indent=1))


def _save_pyfunc(folder: Path, files: Path, model: TrainedModel) -> None:
    """Save the files as a model that `mlflow.pyfunc.load_model` can load."""
    with silence_mlflow():
        import mlflow.pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema
        from mlflow.types.schema import AnyType

        # toytip checks and converts the columns. MLflow would refuse a code column with missing
        # values, which pandas reads as floats, and an amount column with whole numbers.
        dataset = model.encoding.dataset
        inputs = [
            ColSpec(AnyType(), dataset.layout.source_column(field.name, model.taxi), required=False)
            for field in dataset.fields
        ]
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"files": str(files)},
            signature=ModelSignature(Schema(inputs), Schema([ColSpec("double", "probability")])),
            pip_requirements=[f"toytip=={__version__}"],
        )


def golden_trips(model: TrainedModel) -> list[dict[str, Any]]:
    """Return raw trips of the golden set, with usual, missing and unusual values.

    The trips are at the start of the test months.
    """
    dataset = model.encoding.dataset
    start = dt.datetime.fromisoformat(model.encoding.split.test.start)
    return [
        {dataset.layout.source_column(name, model.taxi): value for name, value in row.items()}
        for row in dataset.golden_rows(start)
    ]


def _score(model: TrainedModel, trips: list[dict[str, Any]]) -> list[float | None]:
    """Return the probabilities of trips. None for a trip outside of the segment of the model."""
    scored = scoring.score_raw(model, trips)
    rows = zip(scored.probability.tolist(), scored.reason, strict=True)
    return [probability if reason is None else None for probability, reason in rows]


def verify_package(folder: Path) -> str:
    """Score each trip of the golden set separately, and return the result as a message.

    The process that started this one has just written the package, and has executed its code.
    Raises RegistryError if a probability is not exactly the stored probability.
    """
    with allow_stored_code():
        model = load_package(folder)
    golden_set = json.loads((folder / GOLDEN_SET_FILE).read_text())
    trips, stored = golden_set["trips"], golden_set["probability"]
    for index, (trip, expected) in enumerate(zip(trips, stored, strict=True)):
        (probability,) = _score(model, [trip])
        if probability != expected:
            raise RegistryError(
                f"trip {index} of the golden set has the probability {probability!r}, but {expected!r} is stored"
            )
    return f"{plural(len(trips), 'trip')} of the golden set {verb(len(trips), 'has', 'have')} the stored probabilities"


def main() -> int:
    """Verify the package in the folder of the command line, and return the exit code."""
    try:
        sys.stdout.write(verify_package(Path(sys.argv[1])) + "\n")
    except (RegistryError, OSError, ValueError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
