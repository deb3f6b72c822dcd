"""The state of a run, its output on a terminal, and the duration of its stages."""
