"""Pure functions from frames to frames, one module per stage."""
