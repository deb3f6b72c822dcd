"""The Dask graph of the partition-wise stages, and its execution."""
