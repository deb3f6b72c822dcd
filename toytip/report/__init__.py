"""The HTML report of a version, and the page that compares two versions.

The input is a `Facts` object. This package does not read a store, trips or the clock.
"""
