"""The trial of the parts of a project, on a few rows of each data set."""

import numpy as np
import pytest

from tests.support.projects import feature_source, module_of
from toytip.core.tables import TRIPS
from toytip.datasets.project.loader import load_project
from toytip.datasets.project.trial import trial_rows
from toytip.datasets.registry import DATASETS, dataset_of
from toytip.datasets.words import KINDS

FIELDS = {
    f"{dataset.name} {field.name}": (dataset, field) for dataset in DATASETS for field in dataset.fields
}


@pytest.mark.parametrize(("dataset", "field"), FIELDS.values(), ids=FIELDS)
def test_the_trial_has_values_of_every_field(dataset, field):
    values = trial_rows(dataset)[field.name]
    assert str(values.dtype) == dataset.table(TRIPS).dtypes[field.name]
    present = values[~np.isnan(values)]
    assert len(present)
    if field.texts:
        assert set(present) <= {code for _, code in field.texts}


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_can_extend_the_data_set_of_each_kind(kind):
    source = feature_source('np.nan_to_num(trips["PULocationID"]) > 100', needs="PULocationID")
    source += "@rule\ndef far(trips):\n    return trips['PULocationID'] > 1_000\n"
    project = load_project(module_of(source, base=dataset_of(kind).name))
    assert (project.features[-1].name, project.rules[-1].name) == ("mine", "far")
