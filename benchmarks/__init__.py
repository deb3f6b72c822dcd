"""Throughput, side by side on one machine. Every row carries the quality of what was timed."""
