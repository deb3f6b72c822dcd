"""The pipeline: stages in order, each from published versions to a published version."""
