"""The data sets that are part of toytip. `registry` has the list of all data sets."""
