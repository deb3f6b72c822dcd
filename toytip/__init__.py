"""toytip: a year of taxi trips, read, cleaned, learned from and scored on a Dask cluster."""

__version__ = "0.1.0"
