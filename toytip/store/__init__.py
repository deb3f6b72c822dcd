"""Versions of tables and artifacts."""
