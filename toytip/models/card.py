"""Model cards, and their comparison."""

from __future__ import annotations

import json
from typing import Any

from toytip.config import Settings
from toytip.evaluation.tally import SEGMENTS
from toytip.models.registry import RegisteredModel
from toytip.models.resolve import find_registered_model


def read_model_card(
    settings: Settings, name: str, taxi: str | None = None
) -> tuple[RegisteredModel, dict[str, Any]]:
    """Return a registered model and its card. Raises RegistryError where there is none."""
    registry, entry = find_registered_model(settings, name, taxi)
    with registry.open_files(entry) as folder:
        return entry, json.loads((folder / "model_card.json").read_text())


def compare_model_cards(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Return what differs between two cards, as pairs, and whether their test rows are the same."""
    return {
        "same_test_rows": _test_rows(a) == _test_rows(b),
        "params": _differing_pairs(a["params"], b["params"]),
        "features": {
            name: (a["features"].get(name), b["features"].get(name))
            for name in {**a["features"], **b["features"]}
            if a["features"].get(name) != b["features"].get(name)
        },
        "split": _differing_pairs(a["split"], b["split"]),
        "metrics": {
            population: _differing_pairs(
                *(card["evaluation"]["test"][population]["metrics"] for card in (a, b))
            )
            for population in SEGMENTS
            if all(population in card["evaluation"].get("test", {}) for card in (a, b))
        },
    }


def _differing_pairs(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _test_rows(card: dict[str, Any]) -> tuple[Any, ...]:
    features = next(p for p in card["data"]["parents"] if p.get("table") == "features")
    files = sorted(parent["checksum"] for parent in features.get("parents", ()) if "checksum" in parent)
    return card["split"]["test"], card["taxi"], features.get("code"), files
