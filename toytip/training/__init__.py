"""Distributed XGBoost training on bin indices, and a hyperparameter search."""
