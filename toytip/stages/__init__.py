"""The stages: pure functions from frames and small frozen values to frames and small frozen values."""
