"""Estimators for scikit-learn and dask-ml, and the pipeline of a run."""
