"""The report of a run, and of two versions beside each other: facts in, one page of HTML out. No store, no rows, no clock."""
