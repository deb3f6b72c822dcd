"""Experiments that train many models and publish none: backtests and parameter search."""
