"""The hyperspherical energy against its definition, as a Keras regularizer, and the floor of ce-mhe."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab import objectives, theory
from simplexlab.errors import UsageError
from simplexlab.geometry import regular_simplex
from simplexlab.losses import HypersphericalEnergy, hyperspherical_energy
from simplexlab.objectives import Known


def definition(rows, power):
    """The mean over pairs, term by term."""
    units = [row / math.sqrt(sum(number**2 for number in row)) for row in rows]
    terms = []
    for i in range(len(units)):
        for j in range(i):
            distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(units[i], units[j], strict=True)))
            terms.append(-math.log(distance) if power == 0 else distance**-power)
    return sum(terms) / len(terms)


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(2, 7),
    dimension=st.integers(2, 6),
    power=st.sampled_from((0, 1, 2)),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 10**6),
)
def test_equals_the_definition(count, dimension, power, scale, seed):
    rows = scale * np.random.default_rng(seed).normal(size=(count, dimension))
    expected = definition(rows, power)
    # Squared distances come from cosines: what is lost of them is relative to 1.
    assert float(hyperspherical_energy(rows, power)) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert theory.mean_energy(rows, power) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    penalty = HypersphericalEnergy(0.3, power)(rows.T)
    assert float(penalty) == pytest.approx(0.3 * expected, rel=1e-6, abs=1e-9)
    assert expected >= theory.least_energy(count, dimension, power).bound - 1e-9


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_value_and_gradient_are_finite_also_where_directions_coincide(power, dtype):
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, 0.5], [0.0, 0.0], [0.01, 0.01]])
    rows = rows[1:] if dtype == "float16" else rows  # which cannot hold the steep gradient of near directions
    variable = tf.Variable(tf.cast(rows, dtype))
    with tf.GradientTape() as tape:
        value = hyperspherical_energy(variable, power)
    assert value.dtype == ("float64" if dtype == "float64" else "float32")
    assert np.isfinite(float(value))
    assert np.isfinite(tf.cast(tape.gradient(value, variable), "float64").numpy()).all()


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_gradient_is_that_of_finite_differences(power):
    rows = np.random.default_rng(2).normal(size=(4, 3))
    variable = tf.Variable(rows)
    with tf.GradientTape() as tape:
        value = hyperspherical_energy(variable, power)
    gradient = tape.gradient(value, variable).numpy()
    for place in np.ndindex(*rows.shape):
        step = np.zeros_like(rows)
        step[place] = 1e-6
        slope = (definition(rows + step, power) - definition(rows - step, power)) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-7)


def test_in_a_fit_of_ones_own_it_spreads_the_classifier(tmp_path):
    again = HypersphericalEnergy.from_config(HypersphericalEnergy(0.5, 1).get_config())
    assert (again.weight, again.power) == (0.5, 1)
    head = keras.layers.Dense(3, use_bias=False, kernel_regularizer=HypersphericalEnergy(1.0, 2))
    model = keras.Sequential([keras.Input((2,)), head])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.MeanSquaredError())
    head.kernel.assign(np.array([[1.0, 0.5, -0.2], [0.0, 0.9, 1.0]]))
    model.fit(np.zeros((8 * 300, 2)), np.zeros((8 * 300, 3)), batch_size=8, verbose=0)  # 300 steps
    least = theory.least_energy(3, 2, 2).bound
    assert float(hyperspherical_energy(keras.ops.transpose(head.kernel))) == pytest.approx(least, rel=1e-3)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").layers[-1].kernel_regularizer.weight == 1.0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((-1.0, 2), "weight"), ((float("nan"), 2), "weight"), ((1.0, 3), "power"), ((1.0, 1.5), "power")],
)
def test_what_is_no_energy(arguments, told):
    with pytest.raises(ValueError, match=told):
        HypersphericalEnergy(*arguments)
    with pytest.raises(ValueError, match="at least two"):
        hyperspherical_energy(np.ones((1, 3)))


def known(counts, dimension, weights, radius=2.0, features="free", **options):
    options = objectives.get("ce-mhe").resolve(options)
    return Known(np.asarray(counts), dimension, options, 16, features, radius, weights)


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_the_floor_of_balanced_classes_is_theorem_1_and_the_simplex(power, features):
    weights = 1.5 * regular_simplex(4, 6)
    floor = objectives.get("ce-mhe").floor(
        known([5] * 4, 6, weights, features=features, energy_weight=0.7, energy_power=power)
    )
    pair = math.sqrt(8 / 3)
    energy = -math.log(pair) if power == 0 else pair**-power
    expected = theory.ce_bound_frobenius(4, 2.0, np.linalg.norm(weights), features=features) + 0.7 * energy
    assert floor.value == pytest.approx(expected, rel=1e-12)
    assert floor.is_exact


@settings(deadline=None, max_examples=25)
@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    dimension=st.integers(2, 6),
    power=st.sampled_from((0, 1, 2)),
    weight=st.sampled_from((0.0, 0.1, 3.0)),
    nonnegative=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_no_configuration_is_below_the_floor(counts, dimension, power, weight, nonnegative, seed):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = generator.normal(size=(len(counts), dimension))
    points = 2.0 * weights[labels] + generator.normal(size=(len(labels), dimension))
    points = np.maximum(points, 0.0) if nonnegative else points
    points *= 2.0 / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 2.0)
    entry = objectives.get("ce-mhe")
    features = "nonnegative" if nonnegative else "free"
    there = known(counts, dimension, weights, features=features, energy_weight=weight, energy_power=power)
    floor = entry.floor(there)
    loss, excess, _ = entry.measure(points, labels, there, floor, generator)
    scores = points @ weights.T
    entropy = np.mean(np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(labels)), labels])
    assert loss == pytest.approx(entropy + weight * definition(weights, power), rel=1e-6)
    assert excess >= -1e-9
    assert loss >= floor.certificate - 1e-9
    if floor.best_known is not None:
        assert floor.best_known >= floor.value - 1e-9
        assert not floor.is_exact


def test_too_many_classes_for_a_line_are_refused():
    with pytest.raises(UsageError, match="take --dimension 2 or more"):
        objectives.get("ce-mhe").penalty(np.ones((3, 1)), 1.0, 2)
