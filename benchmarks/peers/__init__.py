"""Scripts that accept the same rows as toytip, with the same features, but without toytip."""
