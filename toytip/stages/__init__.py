"""The stages as functions of frames without side effects, one module per stage."""
