"""Features that the tests of training use."""

from toytip.datasets.tlc.taxis.dataset import TLC

NAMES = TLC.feature_set("payment")
