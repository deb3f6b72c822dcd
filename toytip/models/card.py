"""The model card: training data, parameters and evaluation of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from toytip.core.jsonable import FLATTEN
from toytip.core.splits import TimeRange
from toytip.core.tables import FEATURES
from toytip.errors import RegistryError
from toytip.evaluation.report import EvaluationSummary
from toytip.models.registered_model import RegisteredModel
from toytip.store.lineage import LineageNode
from toytip.store.manifest import SourceFileRef

CARD_FILE = "model_card.json"

ValuePair = tuple[Any, Any]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Training data, parameters and evaluation of a registered model."""

    run_version: str
    """Run version: the version of the run that trained the model."""
    taxi: str
    """Taxi type, `yellow`, `green` or `fhvhv`."""
    segment: str
    """Segment that the model was trained on: `all` or `card` trips."""
    features: dict[str, str]
    """Features, each with its availability: `pickup`, `dropoff` or `payment`."""
    split: dict[str, TimeRange]
    """Time ranges of the splits."""
    rounds: int
    """Number of boosting rounds that the model has, after early stopping."""
    threshold: float
    """Decision threshold: the lowest probability for which the model predicts a positive label."""
    params: dict[str, Any]
    """Training parameters."""
    environment: dict[str, str]
    """Versions of Python and of the packages at the time of training."""
    lineage: LineageNode
    """Lineage of the model, down to the source files and their checksums."""
    evaluation: EvaluationSummary
    """Evaluation by split and segment, without curves and without the full list of slices."""


@dataclass(frozen=True, kw_only=True)
class CardOfModel:
    """A registered model and its card."""

    model: RegisteredModel = field(metadata=FLATTEN)
    """The model in the registry."""
    card: ModelCard
    """Training data, parameters and evaluation of the model."""


def read_card(folder: Path) -> ModelCard:
    """Return the model card in a folder of package files.

    Raises RegistryError if the card is missing or invalid.
    """
    try:
        return TypeAdapter(ModelCard).validate_python(json.loads((folder / CARD_FILE).read_text()))
    except (OSError, ValueError) as error:
        cause = "it has a different format" if isinstance(error, ValidationError) else str(error)
        raise RegistryError(
            f"cannot read {CARD_FILE} in {folder}: {cause}", hint="Train and register the model again."
        ) from None


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """The differences between two model cards. A pair contains the values of both models."""

    models: tuple[str, str]
    """Run versions of the two models."""
    comparable: bool
    """Whether both models were tested on the same rows. Only then are their metrics comparable."""
    params: dict[str, ValuePair]
    """Training parameters that differ."""
    features: dict[str, ValuePair]
    """Features whose availability differs between the models, with both availabilities. The value
    is null for a model that does not have the feature."""
    split: dict[str, ValuePair]
    """Time ranges of the splits that differ."""
    metrics: dict[str, dict[str, ValuePair]]
    """Test metrics that differ, by segment."""


def compare_model_cards(a: ModelCard, b: ModelCard) -> ModelComparison:
    """Return the differences between the cards of two models."""
    tests = [card.evaluation.get("test", {}) for card in (a, b)]
    return ModelComparison(
        models=(a.run_version, b.run_version),
        comparable=_test_rows(a) == _test_rows(b),
        params=_differences(a.params, b.params),
        features=_differences(a.features, b.features),
        split=_differences(a.split, b.split),
        metrics={
            segment: _differences(*(asdict(test[segment].metrics) for test in tests))
            for segment in tests[0]
            if segment in tests[1]
        },
    )


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, ValuePair]:
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _test_rows(card: ModelCard) -> tuple[Any, ...]:
    """Return the values that identify the test rows.

    The values are the test months, the taxi type, the source code of the features and the source
    files.
    """
    features = next(
        parent
        for parent in card.lineage.parents
        if isinstance(parent, LineageNode) and parent.table == FEATURES.name
    )
    checksums = sorted(parent.checksum for parent in features.parents if isinstance(parent, SourceFileRef))
    return card.split["test"], card.taxi, features.code, checksums
