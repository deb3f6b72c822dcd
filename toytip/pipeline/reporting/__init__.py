"""Collect the facts of a version, and write its report."""
