"""Metrics from score histograms."""
