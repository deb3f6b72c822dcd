from toytip.cli.option_groups import BoosterOptions, SplitOptions
from toytip.pipeline.startup.training_settings import TRAINING_SETTINGS


def test_each_training_option_of_the_command_line_is_a_training_setting():
    options = {*SplitOptions.__annotations__, *BoosterOptions.__annotations__}
    # Every run has a segment, because the champion of the segment scores the trips.
    assert options - {"segment"} <= set(TRAINING_SETTINGS)
