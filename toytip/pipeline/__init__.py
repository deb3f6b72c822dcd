"""The pipeline: runs the stages. Each stage reads published versions and publishes a version."""
