"""Score trips over HTTP, and score files of trips."""
