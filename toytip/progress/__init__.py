"""The progress of a run: its state, its output on a terminal, and the duration of its stages."""
