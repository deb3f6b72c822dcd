"""The declaration of a data set of one's own, in the module of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toytip.core.dataset.declarations import Field, names_of

# The availability of fields that are known only with the label.
SETTLED = "settled"


@dataclass(frozen=True, eq=False)
class OwnDataset:
    """A data set of a project. The decorated functions of the module add the other parts.

    `docs/how-to/own-data.md` describes the arguments.
    """

    name: str
    """Name of the data set, and of its kind of source files."""
    fields: Sequence[Field] = field(kw_only=True)
    """Columns of the source files."""
    moments: Mapping[str, str] = field(kw_only=True)
    """Moments at which values become known, in order, each with the field that has its time. The
    field of the first moment has the time of the row."""
    groups: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    """Features that group rows by whole numbers from 0, with the number of their values."""
    baseline: Sequence[str] = field(default=(), kw_only=True)
    """Groups of the baseline, which predicts the mean of the label in each combination of them."""
    rates: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True)
    """Target-encoded features, each with the groups whose earlier labels it is computed from."""
    slices: Sequence[str] = field(default=(), kw_only=True)
    """Features whose values are evaluation slices."""
    score_columns: Sequence[str] = field(default=(), kw_only=True)
    """Features that are also columns of the predictions."""
    hour: str | None = field(default=None, kw_only=True)
    """Feature with the hour of the day, if any. The data check compares the hours."""
    weekday: str | None = field(default=None, kw_only=True)
    """Feature with the day of the week, 0 for Monday, if any."""
    time_zone: str = field(default="UTC", kw_only=True)
    """Time zone of the times. Times with another zone or a UTC offset are converted to it."""

    def __post_init__(self) -> None:
        """Accept a text as one name."""
        for argument in ("baseline", "slices", "score_columns"):
            object.__setattr__(self, argument, names_of(getattr(self, argument)))
        if isinstance(self.rates, Mapping):
            object.__setattr__(self, "rates", {name: names_of(needs) for name, needs in self.rates.items()})
