"""The Python API: the commands of toytip for programs and notebooks.

`toytip` exports its names and loads them on first use. See `docs/how-to/python.md`.
"""
