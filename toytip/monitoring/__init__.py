"""Drift, performance by month, and alerts. Pure functions."""
