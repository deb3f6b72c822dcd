"""The answer of the server for a trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toytip.core.jsonable import to_json
from toytip.models.scoring import Explanation


@dataclass(frozen=True, kw_only=True)
class TripAnswer:
    """The answer for a trip. The JSON object has no null fields, except for the first two."""

    probability: float | None = None
    """Probability of a positive label. Null if the trip cannot be scored."""
    prediction: bool | None = None
    """Whether the probability is at least the decision threshold of the model. Null if the trip
    cannot be scored."""
    explanations: list[Explanation] | None = None
    """The largest explanations, if the request asks for them."""
    error: str | None = None
    """Error message, if the trip cannot be scored."""
    reason: str | None = None
    """Reason why the trip cannot be scored: the name of a cleaning rule, or `outside_segment`."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object."""
        answer: dict[str, Any] = {"probability": self.probability, "prediction": self.prediction}
        if self.explanations is not None:
            answer["explanations"] = to_json(self.explanations)
        return answer if self.error is None else {**answer, "error": self.error, "reason": self.reason}
