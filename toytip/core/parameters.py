"""Parameters of training and monitoring, with the defaults of the settings."""

from __future__ import annotations

from dataclasses import dataclass


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
    """Threshold for a change in the share of card trips, or in the share of high tips among card
    trips."""
    max_f1_loss: float = 0.02
    """Threshold for the F1 loss that is due to the model."""
    max_log_loss_increase: float = 0.02
    """Threshold for the log loss increase that is due to the model."""
    max_auc_loss: float = 0.03
    """Threshold for the AUC loss on card trips."""
    min_breaches: int = 2
    """An alert fires only if at least this many months, or all months if there are fewer, have a
    breach (an exceeded threshold). The latest month must be one of them."""
    window_months: int = 3
    """Number of months, up to and including the latest month, in which toytip counts breaches."""
