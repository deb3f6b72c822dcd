"""Distributed XGBoost training, as estimators and as a search for hyperparameters."""
