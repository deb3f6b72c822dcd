"""Names that options and settings need before a run loads the data set."""

# The taxi types, with the number of each type in trip IDs.
TAXI_NUMBERS = {"yellow": 1, "green": 2}
CARD = "card"
# The kinds of drift that can be added to a synthetic year.
DRIFT_KINDS = ("distance", "card", "skill")
