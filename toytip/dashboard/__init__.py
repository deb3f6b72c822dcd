"""The run dashboard: a page, its data and Prometheus metrics, served by the Dask scheduler."""
