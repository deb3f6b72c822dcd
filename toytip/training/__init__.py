"""Distributed XGBoost training: estimators and a hyperparameter search."""
