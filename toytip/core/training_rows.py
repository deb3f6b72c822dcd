"""The columns of a training frame that are not features. The features are bin indices."""

from __future__ import annotations

# The names cannot be those of features, which begin with a letter in toytip's own frames, and with
# `f` and a number in frames of the estimators.
LABEL_COLUMN = "__label__"
"""The label: bool for a classifier, float32 for a regressor."""
WEIGHT_COLUMN = "__weight__"
"""The weight of the row, as float32. Without this column, all weights are 1."""
ROW_ID_COLUMN = "__row_id__"
"""A number (uint64 or int64) that identifies the row in any order. Only row sampling needs it."""
EXTRA_COLUMNS = (LABEL_COLUMN, WEIGHT_COLUMN, ROW_ID_COLUMN)
