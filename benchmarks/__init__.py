"""Compare toytip with other programs that do the same work: time, memory and AUC on one machine."""
