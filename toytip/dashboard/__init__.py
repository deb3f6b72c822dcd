"""The run dashboard: a page, its data and Prometheus metrics. The Dask scheduler serves them."""
