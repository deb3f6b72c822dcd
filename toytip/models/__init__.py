"""Models: scoring, packaging, registry."""
