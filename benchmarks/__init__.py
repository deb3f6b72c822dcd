"""Compare toytip with other ways to do the same work, on one machine and with the AUC of each."""
