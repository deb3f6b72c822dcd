"""Features that the tests of training use."""

from toytip.datasets.tlc.dataset import TLC

NAMES = TLC.feature_set("payment")
