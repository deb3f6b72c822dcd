"""The taxi zones of New York, which several data sets have."""

# Zone IDs are 1 to 265.
ZONE_ID_COUNT = 266
