"""Work of a run before its first stage, and work that it prepares in the background."""
