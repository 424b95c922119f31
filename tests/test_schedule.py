"""Learning-rate time against the sum over the schedule that training uses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplexlab.config import Experiment
from simplexlab.schedule import evaluations_before, is_evaluation, learning_rate_time, next_evaluation


@pytest.mark.parametrize("schedule", ["polynomial", "cosine", "constant"])
@pytest.mark.parametrize("total", [1, 2, 7, 1000])
def test_is_the_sum_over_the_keras_schedule(schedule, total):
    from simplexlab.training.learner import learning_rate_schedule

    experiment = Experiment(schedule=schedule, iterations=total, learning_rate=0.3).resolve()
    rate = learning_rate_schedule(experiment)
    rates = [float(rate(step)) if callable(rate) else rate for step in range(total)]
    sums = np.concatenate([[0], np.cumsum(rates) / 0.3])
    times = [learning_rate_time(schedule, total, iteration) for iteration in range(total + 1)]
    np.testing.assert_allclose(times, sums, rtol=1e-5, atol=1e-6)
    assert times[0] == 0
    assert np.all(np.diff(times) >= 0)


def test_the_papers_annealing_spends_a_sixth_of_its_budget_nearly_all_of_it_in_the_first_half():
    total = 100_000
    whole = learning_rate_time("polynomial", total, total)
    assert whole == pytest.approx(total / 6, rel=1e-4)
    assert learning_rate_time("polynomial", total, total // 2) / whole == pytest.approx(1 - 0.5**6, abs=1e-4)
    assert learning_rate_time("cosine", total, total) == pytest.approx(total / 2, rel=1e-4)


@pytest.mark.parametrize("iteration", [-1, 11])
def test_an_iteration_outside_the_run_is_refused(iteration):
    with pytest.raises(ValueError, match="is not one of a run of 10"):
        learning_rate_time("constant", 10, iteration)
    with pytest.raises(ValueError, match="unknown schedule linear"):
        learning_rate_time("linear", 10, 1)


@given(total=st.integers(1, 400), every=st.integers(1, 150), dense=st.booleans(), start=st.integers(0, 400))
def test_evaluations_one_after_another(total, every, dense, start):
    early = {1, 2, 5, 10, 20, 50, 100} if dense else set()
    points = sorted({*range(0, total, every), *early, 0})
    points = [point for point in points if point < total]
    assert [n for n in range(total) if is_evaluation(n, every, dense)] == points
    following = [point for point in points if point > start]
    if following:
        assert next_evaluation(start, every, dense) == following[0]
    else:
        assert next_evaluation(start, every, dense) > start
    for number, point in enumerate(points[1:]):
        assert evaluations_before(point, every, dense) == number
