"""The declaration of a data set. `toytip.datasets` has the data sets that are part of toytip."""
