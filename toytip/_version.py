"""The version of toytip. Nothing below the interfaces imports the root package."""

__version__ = "0.1.0"
