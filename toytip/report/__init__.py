"""The HTML report of a version, and the page that compares two versions.

The input is facts. This package reads no store, no trips and no clock.
"""
