"""The code that MLflow runs to load a packaged model and to score trips.

MLflow copies this file into the folder of each model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import set_model

from toytip.datasets.project.trust import allow_stored_code
from toytip.models import package, raw_trips, scoring


class TipModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Scores raw trips with a packaged model."""

    def load_context(self, context: Any) -> None:
        """Load the files of the model.

        MLflow executes this file of the model, so that a check of its other code protects nothing.
        """
        with allow_stored_code():
            self.model = package.load_package(Path(context.artifacts["files"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002
        """Return the probability of a positive label for every trip, or NaN for a rejected trip.

        The result has the index of the input.
        """
        probability = scoring.score_raw(self.model, model_input).probability.astype("float64")
        return pd.Series(probability, index=raw_trips.index_of(model_input), name="probability")


set_model(TipModel())
