"""The Python API: what the command line does, for programs and notebooks. `docs/api.md` is the tour.

All names are to be had from `toytip` itself, which loads them when they are first asked for.
"""
