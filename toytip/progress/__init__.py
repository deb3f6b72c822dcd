"""The state of a run, and its display in a terminal."""
