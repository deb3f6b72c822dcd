"""The data sets that New York City's Taxi and Limousine Commission (TLC) publishes.

This package is the only part of toytip that knows their columns and codes.
"""
