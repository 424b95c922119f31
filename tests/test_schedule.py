"""Learning-rate time against the sum over the schedule that training uses."""

import numpy as np
import pytest

from simplexlab.config import Experiment
from simplexlab.schedule import learning_rate_time


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
