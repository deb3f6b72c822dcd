"""The run dashboard, which the Dask scheduler serves: a page, its data, Prometheus metrics."""
