"""Names that options and settings need before a run loads the data set."""

# The only kind of files, with its number in trip IDs.
KIND_NUMBERS = {"fhvhv": 3}
# The kinds of drift that can be added to a synthetic year.
DRIFT_KINDS = ("distance", "skill")
