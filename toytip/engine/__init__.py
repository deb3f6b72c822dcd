"""The Dask graph and its execution."""
