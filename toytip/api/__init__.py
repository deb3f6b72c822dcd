"""The Python API: the commands of toytip for programs and notebooks.

The package `toytip` exports all public names, and imports these modules on first use. See
`docs/how-to/python.md`.
"""
