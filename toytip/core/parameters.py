"""Parameters of the booster and of monitoring. Their defaults are the defaults of the settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BoosterParams:
    """Parameters that the booster is trained with."""

    rounds: int = 300
    """Maximum number of boosting rounds."""
    max_depth: int = 6
    """Maximum depth of a tree."""
    learning_rate: float = 0.1
    """Factor by which each tree is scaled (`eta` in XGBoost)."""
    early_stopping_rounds: int = 20
    """Rounds without a lower validation loss after which training stops, or 0 for never."""
    min_child_weight: float = 1.0
    """Minimum sum of the second derivatives of the loss in a leaf."""
    reg_lambda: float = 1.0
    """L2 penalty of the leaf weights."""
    gamma: float = 0.0
    """Minimum loss reduction of a split."""


@dataclass(frozen=True, kw_only=True)
class AlertThresholds:
    """Largest effects that are not breaches, and the number of breaches that fires an alert."""

    psi: float = 0.2
    """Population stability index of a feature."""
    ks: float = 0.15
    """Kolmogorov-Smirnov statistic of a feature."""
    wasserstein: float = 0.5
    """Wasserstein distance of a feature, in robust standard deviations of the reference."""
    min_importance: float = 0.005
    """Share of the model's total gain from which on drift of a feature can fire an alert."""
    max_share_shift: float = 0.05
    """Change of the share of card trips, or of high tips among card trips."""
    max_f1_loss: float = 0.02
    """Loss of F1 that is due to the model."""
    max_log_loss_increase: float = 0.02
    """Increase of the log loss that is due to the model."""
    max_auc_loss: float = 0.03
    """Loss of AUC among card trips."""
    min_breaches: int = 2
    """Number of breaches within `window_months` that fires an alert, the latest month included."""
    window_months: int = 3
    """Number of latest months in which breaches count."""
