"""Distributed XGBoost training."""
