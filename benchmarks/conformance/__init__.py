"""Check that an engine did the job: the same rows, the same features, and a model as good."""
