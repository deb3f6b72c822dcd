"""Build and execute the Dask graph of the partition-wise stages."""
