"""The trip records of yellow and green taxis, which the TLC publishes.

This package is the only part of toytip that knows their columns and codes.
"""
