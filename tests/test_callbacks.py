"""The Geometry callback in other people's models."""

import keras
import numpy as np
import pytest

from simplexlab import geometry, theory
from simplexlab.callbacks import Geometry
from simplexlab.losses import SupervisedContrastive

LABELS = np.arange(60) % 3
INPUTS = (np.eye(3)[LABELS] + 0.1 * np.random.default_rng(0).normal(size=(60, 3))).astype(np.float32)


def test_in_a_classifier_of_one_s_own():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = Geometry(INPUTS, LABELS, every=2)
    history = model.fit(INPUTS, LABELS, epochs=4, verbose=0, callbacks=[callback]).history
    assert len(callback.evaluations) == 2
    record = callback.evaluations[-1].record
    assert history["geometry_loss"][-1] == pytest.approx(record["loss"])
    assert record["loss"] == pytest.approx(model.evaluate(INPUTS, LABELS, verbose=0), rel=1e-5)
    representations = keras.Model(model.inputs, model.layers[-1].input).predict(INPUTS, verbose=0)
    weights = np.asarray(model.layers[-1].kernel).T
    expected = theory.ce_bound_frobenius(3, np.linalg.norm(representations, axis=1).max(), np.linalg.norm(weights))
    assert record["bound"] == pytest.approx(expected, rel=1e-5)
    assert record["gap_architecture"] > 0  # the representations come out of a ReLU
    expected = geometry.statistics(representations, LABELS, weights).nc1
    assert record["nc1"] == pytest.approx(expected)


def test_in_a_contrastive_model_of_one_s_own():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.UnitNormalization()])
    model.compile("sgd", SupervisedContrastive(0.5))
    callback = Geometry(INPUTS, LABELS, temperature=0.5, batch_size=20)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    record = callback.evaluations[0].record
    assert record["bound"] == pytest.approx(theory.sc_bound(3, 20, temperature=0.5, sampling="iid"), rel=1e-5)
    assert record["excess"] > 0
    assert record["bound_is_exact"]


def test_the_last_layer_s_bias_is_refused_and_a_layer_can_be_named():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="inner"), keras.layers.Dense(7), keras.layers.Dense(3)]
    )
    model.layers[-1].set_weights([np.ones((7, 3)), np.ones(3)])
    callback = Geometry(INPUTS, LABELS)
    callback.set_model(model)
    with pytest.raises(ValueError, match="bias"):
        callback.evaluate()
    named = Geometry(INPUTS, LABELS, loss="sc", layer="inner")
    named.set_model(model)
    assert named.evaluate().record["dimension"] == 4


def test_wrong_use_is_told():
    with pytest.raises(ValueError, match="every must be at least 1"):
        Geometry(INPUTS, LABELS, every=0)
    callback = Geometry(INPUTS, LABELS, loss="ce")
    callback.set_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)]))
    with pytest.raises(ValueError, match="last layer is Dense with 3 units"):
        callback.evaluate()
