"""The data set of a project: a built-in data set, and the declarations in the user's module."""
