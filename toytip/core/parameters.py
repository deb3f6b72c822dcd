"""Parameters of training and monitoring, with the defaults of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toytip.core.redact import suggest_name
from toytip.errors import ConfigError

# Parameters of XGBoost that toytip refuses, and the reason.
EXACTNESS_LIMITS = {
    "booster": "toytip trains trees with fixed bins only, not linear models and not DART, which drops "
    "random trees",
    "colsample_bynode": "XGBoost draws the features of a node in the order in which it visits the nodes",
    "grow_policy": "toytip trains trees level by level",
    "max_cat_to_onehot": "features are numbers, and categories have no order of their own",
    "max_leaves": "toytip trains trees level by level",
    "num_parallel_tree": "toytip adds one tree per round",
    "objective": "toytip rounds the gradients of the logistic loss and of the squared error only",
    "sampling_method": "toytip samples rows by a hash of their IDs, and not by their gradients",
    "tree_method": "only the method hist adds up gradients over fixed bins",
}


@dataclass(frozen=True, kw_only=True)
class BoosterParams:
    """Parameters of the training of the booster."""

    rounds: int = 300
    """Maximum number of boosting rounds."""
    max_depth: int = 6
    """Maximum depth of a tree."""
    learning_rate: float = 0.1
    """Factor by which each tree is scaled (`eta` in XGBoost)."""
    early_stopping_rounds: int = 20
    """Number of rounds without a lower validation loss after which training stops (0: never)."""
    min_child_weight: float = 1.0
    """Minimum sum of the second derivatives of the loss in a leaf."""
    reg_lambda: float = 1.0
    """L2 penalty on the leaf weights."""
    gamma: float = 0.0
    """Minimum loss reduction for a split."""
    reg_alpha: float = 0.0
    """L1 penalty on the leaf weights."""
    subsample: float = 1.0
    """Share of the training rows that each round uses. A hash of the ID of a row selects the
    rows."""
    colsample_bytree: float = 1.0
    """Share of the features that each tree uses."""
    colsample_bylevel: float = 1.0
    """Share of the features of a tree that each of its levels uses."""
    sampling_seed: int = 0
    """Random seed of the sampling of rows and features."""
    scale_pos_weight: float = 1.0
    """Factor of the weights of positive rows in training."""
    max_bin: int = 250
    """Maximum number of quantile bins of a feature."""
    monotone_constraints: str | None = None
    """Features whose effect on the prediction must not decrease (1) or not increase (-1), as
    NAME=1,NAME=-1."""

    def constraints_of(self, features: Sequence[str]) -> tuple[int, ...]:
        """Return the monotone constraint of each feature: 1, -1, or 0 without a constraint."""
        constraints = self._constraints()
        return tuple(constraints.get(name, 0) for name in features)

    def require_known_constraints(self, features: Sequence[str]) -> None:
        """Raise ConfigError if a constraint names another feature, or if a feature has two."""
        if unknown := [name for name in self._constraints() if name not in features]:
            raise ConfigError(
                f"cannot use monotone constraints: the model has no feature {unknown[0]}",
                hint=suggest_name(unknown[0], features, f"Use only {', '.join(features)}."),
            )

    def _constraints(self) -> dict[str, int]:
        """Return the monotone constraints by feature."""
        items = [item.rpartition("=") for item in (self.monotone_constraints or "").split(",") if item]
        constraints = {name.strip(): int(direction) for name, _, direction in items}
        if len(constraints) < len(items):
            raise ConfigError(
                f"cannot use monotone constraints {self.monotone_constraints!r}: a feature has more than one",
                hint="Set one constraint per feature.",
            )
        return constraints


@dataclass(frozen=True, kw_only=True)
class AlertThresholds:
    """Thresholds of monitoring, and the number of months with a breach that an alert needs."""

    psi: float = 0.2
    """Threshold for the population stability index of a feature."""
    ks: float = 0.15
    """Threshold for the Kolmogorov-Smirnov statistic of a feature."""
    wasserstein: float = 0.5
    """Threshold for the Wasserstein distance of a feature, in robust standard deviations of the
    reference."""
    min_importance: float = 0.005
    """Minimum feature importance (share of the model's total gain). Drift of less important
    features does not fire an alert."""
    max_share_shift: float = 0.05
    """Threshold for a change in the share of the segment, or in the share of positive labels in the
    segment."""
    max_f1_loss: float = 0.02
    """Threshold for the F1 loss that is due to the model."""
    max_log_loss_increase: float = 0.02
    """Threshold for the log loss increase that is due to the model."""
    max_auc_loss: float = 0.03
    """Threshold for the AUC loss in the segment."""
    min_breaches: int = 2
    """An alert fires only if at least this many months, or all months if there are fewer, have a
    breach (an exceeded threshold). The latest month must be one of them."""
    window_months: int = 3
    """Number of months, up to and including the latest month, in which toytip counts breaches."""
