"""Features that the tests of training use."""

from toytip.stages.featurize import feature_set

NAMES = feature_set("payment")
