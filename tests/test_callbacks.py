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


def test_the_objective_is_the_one_that_the_model_is_compiled_with():
    """A contrastive model whose representation has as many dimensions as there are classes is no classifier."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", SupervisedContrastive(0.5))
    callback = Geometry(INPUTS, LABELS, temperature=0.5, batch_size=20)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    assert callback.evaluations[0].record["weight_similarity"] is None


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def call(self, inputs):
        return self.dense(inputs)


def test_a_subclassed_model_gives_its_output_as_the_representation():
    model = Subclassed()
    model.compile("sgd", SupervisedContrastive(0.5))
    callback = Geometry(INPUTS, LABELS, temperature=0.5, batch_size=20)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    expected = geometry.statistics(model.predict(INPUTS, verbose=0), LABELS).nc1
    assert callback.evaluations[0].record["nc1"] == pytest.approx(expected, rel=1e-4)


def test_a_sequential_model_without_an_input_is_built_by_its_first_batch():
    model = keras.Sequential([keras.layers.Dense(5), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = Geometry(INPUTS, LABELS)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    assert callback.evaluations[0].record["dimension"] == 5


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((INPUTS, LABELS), {"every": 0}, "every must be at least 1"),
        ((INPUTS, LABELS), {"loss": "cefix"}, "one of ce, ce-fix, sc, not 'cefix'"),
        ((INPUTS, LABELS), {"temperature": 0.0}, "temperature must be a positive"),
        ((INPUTS, LABELS), {"batch_size": 0}, "batch_size must be at least 1"),
        ((INPUTS, np.eye(3)[LABELS]), {}, r"not \(60, 3\); of one-hot rows take argmax"),
        ((INPUTS, LABELS[:50]), {}, "60 inputs but 50 labels"),
        ((INPUTS, LABELS + 1), {}, "no point has the label 0"),
        ((INPUTS, LABELS - 1), {}, "-1 is negative"),
        ((INPUTS, LABELS + 0.5), {}, "whole numbers"),
        ((INPUTS, np.where(LABELS == 0, np.nan, 1)), {}, "whole numbers"),
        ((INPUTS, np.zeros(60, int)), {}, "no point has the label 1"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Geometry(*arguments, **options)


@pytest.mark.parametrize(
    ("last", "options", "message"),
    [
        (keras.layers.Dense(4), {"loss": "ce"}, "last layer is Dense with 3 units"),
        (keras.layers.Dense(6), {}, "compiled with cross-entropy needs"),
        (keras.layers.Dense(3), {}, "without bias"),
        (keras.layers.Dense(3), {"loss": "sc", "layer": "nosuch"}, "nosuch"),
        (keras.layers.Dense(3), {"loss": "sc", "batch_size": 2}, "at least 3 samples"),
    ],
)
def test_a_model_that_does_not_fit_is_told_before_it_trains(last, options, message):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), last])
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(INPUTS, LABELS, verbose=0, callbacks=[Geometry(INPUTS, LABELS, **options)])
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_float_labels_that_are_whole_numbers_are_labels():
    np.testing.assert_array_equal(Geometry(INPUTS, LABELS[:, None].astype(np.float32)).y, LABELS)
