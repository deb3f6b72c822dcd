"""The run dashboard on the scheduler, and its Prometheus metrics."""
