"""Tests of exact sums: gradients, hessians, losses, and facts about labels, in any order."""

from fractions import Fraction
from functools import reduce

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sklearn import metrics as sklearn_metrics

from toytip.core.parameters import BoosterParams
from toytip.errors import ConfigError
from toytip.training.exact_sums import exact_sum, to_fraction
from toytip.training.objective import (
    LOSS_SAMPLE_ROWS,
    RELATIVE_STEP,
    ExactLogistic,
    ExactSquaredError,
    LabelStats,
    Loss,
    ObjectiveConfig,
)
from toytip.training.sampling import RowSampler, row_hashes
from toytip.training.spec import TrainingSpec, boost_config

ROWS = 400_000
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(arrays.arrays(np.float32, st.integers(0, 50), elements=FLOATS))
def test_exact_sums_are_exact(values):
    assert to_fraction(exact_sum(values)) == sum(map(Fraction, values.tolist()), Fraction(0))


def make_rows():
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 3, ROWS).astype(np.float32)
    return rng, margin, rng.random(ROWS) < 0.5, rng.exponential(1, ROWS).astype(np.float32)


def assert_exact_in_any_order(rng, values, step):
    assert (values / step == np.rint(values / step)).all()
    orders = [rng.permutation(values) for _ in range(20)]
    assert len({float(np.cumsum(order, dtype=np.float64)[-1]) for order in orders}) == 1


@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_gradients_add_up_exactly_in_any_order(weighted):
    """The model is therefore the same on any number of workers."""
    rng, margin, label, weight = make_rows()
    scale = 16.0 if weighted else 1.0
    config = ObjectiveConfig(gradient_scale=scale, weight_scale=scale)
    objective = ExactLogistic(config, label, weight if weighted else None)
    gradient, hessian = objective.compute(margin.copy(), 1)
    probability = 1 / (1 + np.exp(-margin.astype(float)))
    factor = weight if weighted else 1
    expected = ((probability - label) * factor, probability * (1 - probability) * factor)
    for values, exact in zip((gradient, hessian), expected, strict=True):
        np.testing.assert_allclose(values, exact, atol=2.5 * RELATIVE_STEP * scale)
        assert_exact_in_any_order(rng, values, RELATIVE_STEP * np.float32(scale))
    assert weighted or (hessian > 0).all()


def test_gradients_of_the_squared_error_add_up_exactly_in_any_order():
    rng, margin, _, weight = make_rows()
    label = rng.normal(0, 50, ROWS).astype(np.float32)
    config = ObjectiveConfig(loss=Loss.SQUARED_ERROR, gradient_scale=2.0**12, weight_scale=16.0)
    gradient, hessian = ExactSquaredError(config, label, weight).compute(margin.copy(), 1)
    np.testing.assert_allclose(gradient, (margin - label) * weight, atol=2.0**-9)
    np.testing.assert_allclose(hessian, weight, atol=2.0**-18)
    assert_exact_in_any_order(rng, gradient, np.float32(2.0**-10))
    assert_exact_in_any_order(rng, hessian, np.float32(2.0**-18))


def test_diverging_predictions_are_refused():
    config = ObjectiveConfig(loss=Loss.SQUARED_ERROR, gradient_scale=1.0)
    objective = ExactSquaredError(config, np.zeros(1, np.float32))
    with pytest.raises(ConfigError, match="predictions move away from the labels"):
        objective.compute(np.full(1, 9, np.float32), 1)


def test_more_rows_than_sums_can_hold_are_refused():
    labels = LabelStats(2**29, 2**29 << 149, 2**28 << 149, 0.0, 1.0, 1.0)
    params = BoosterParams()
    boost_config(TrainingSpec(params=params, bin_counts=(2,)), labels, None, 1)
    spec = TrainingSpec(params=params, bin_counts=(2,), loss=Loss.SQUARED_ERROR)
    with pytest.raises(ConfigError, match="cannot train exactly on 536,870,912 rows"):
        boost_config(spec, labels, None, 1)


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_those_of_scikit_learn_and_add_up_exactly(weighted):
    rng, margin, label, weight = make_rows()
    probability, weights = 1 / (1 + np.exp(-margin.astype(float))), weight if weighted else None
    config = ObjectiveConfig(weight_scale=16.0 if weighted else 1.0)
    total_weight = float(weight.astype(float).sum()) if weighted else ROWS
    totals = set()
    for order in (np.arange(ROWS), rng.permutation(ROWS)):
        parts = np.split(order, [5, 200_000])
        totals.add(
            sum(
                ExactLogistic(config, label[part], weight[part] if weighted else None).total_loss(
                    margin[part]
                )
                for part in parts
            )
        )
    assert len(totals) == 1
    expected = sklearn_metrics.log_loss(label, probability, sample_weight=weights)
    assert totals.pop() / total_weight == pytest.approx(expected, abs=1e-6)


def test_the_reported_squared_error_is_the_root_of_the_mean():
    _, margin, _, weight = make_rows()
    label = margin + np.float32(300)
    config = ObjectiveConfig(loss=Loss.SQUARED_ERROR, gradient_scale=16 * 512.0, weight_scale=16.0)
    objective = ExactSquaredError(config, label, weight)
    total_weight = float(weight.astype(float).sum())
    assert objective.mean_loss(objective.total_loss(margin), total_weight) == pytest.approx(300, rel=1e-5)
    assert objective.sampled_loss(margin) == pytest.approx(300, rel=1e-5)


def test_the_sampled_log_loss_is_close_to_the_exact_one():
    rng = np.random.default_rng(1)
    label = rng.random(5 * LOSS_SAMPLE_ROWS) < 0.3
    margin = rng.normal(-0.5, 1.5, len(label)).astype(np.float32)
    for rows, tolerance in ((slice(None), 0.01), (slice(100), 1e-6)):
        exact = sklearn_metrics.log_loss(label[rows], 1 / (1 + np.exp(-margin[rows].astype(float))))
        sampled = ExactLogistic(ObjectiveConfig(), label[rows]).sampled_loss(margin[rows])
        assert sampled == pytest.approx(exact, abs=tolerance)


def test_facts_about_labels_merge_exactly():
    rng, _, label, weight = make_rows()
    values = rng.normal(0, 1e3, ROWS).astype(np.float32)
    for labels, weights in ((label, None), (label, weight), (values, weight)):
        expected = LabelStats.of(labels, weights)
        order = rng.permutation(ROWS)
        parts = [
            LabelStats.of(labels[part], None if weights is None else weights[part])
            for part in np.split(order, [0, 7, 300_000])
        ]
        assert reduce(LabelStats.merge, parts) == expected
        assert expected.mean == pytest.approx(np.average(labels, weights=weights), rel=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_row_is_drawn_by_its_id_and_the_round(share):
    ids = np.arange(100_000)
    sampler, order = RowSampler(ids, share, 3), np.random.default_rng(0).permutation(100_000)
    drawn = [sampler.draw(number, slice(None)) for number in range(1, 5)]
    assert [np.mean(rows) for rows in drawn] == pytest.approx([share] * 4, abs=0.01)
    assert np.mean(drawn[0] & drawn[1]) == pytest.approx(share**2, abs=0.01), "rounds are independent"
    assert np.array_equal(RowSampler(ids[order], share, 3).draw(2, slice(None)), drawn[1][order])
    assert not np.array_equal(RowSampler(ids, share, 4).draw(1, slice(None)), drawn[0])


def test_rows_with_equal_values_have_equal_hashes():
    first, second = np.array([0.0, -0.0, np.nan, -np.nan, 1.0]), np.array([2, 2, 3, 3, 2])
    hashes = row_hashes([first, second])
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert len(set(hashes.tolist())) == 3
    assert row_hashes([second, first])[0] != hashes[0], "the order of the columns counts"
