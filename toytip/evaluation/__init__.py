"""Compute metrics from metric histograms."""
