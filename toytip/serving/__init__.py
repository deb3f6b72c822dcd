"""Scoring over HTTP, and of files."""
