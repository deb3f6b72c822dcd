"""The trip records of high-volume for-hire vehicles (Uber, Lyft), which the TLC publishes.

This package is the only part of toytip that knows their columns and codes.
"""
