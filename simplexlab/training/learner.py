"""The Keras objects of one run: encoder, head, loss and optimizer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.errors import UsageError
from simplexlab.models import build_encoder, linear_head, project_to_sphere
from simplexlab.objectives import Objective
from simplexlab.training.function_loss import make_loss, make_penalty
from simplexlab.training.optimizer import Momentum


@dataclass(frozen=True)
class Learner:
    """What is trained.

    Attributes:
        encoder: images (b, H, W, C) in 0..255 → the representations that are judged (b, h), on the objective's sphere
            where it has one and no projection; its last layer is `judged_layer`.
        head: the linear or fixed classifier without bias, None where the objective has none.
        projection: representations (b, h) → what the loss takes, on the objective's sphere where it has one; None
            where the loss takes representations or logits.
        model: images → what the loss takes: logits, projections, or representations.
        loss: Keras loss with one value per sample.
        penalty: rows of the head (K, h) → what a step adds to the mean of the loss, None for nothing.
        optimizer: SGD with momentum and the L2 term.
    """

    encoder: keras.Model
    head: keras.layers.Layer | None
    projection: keras.Model | None
    model: keras.Model
    loss: keras.losses.Loss
    penalty: Callable[[Any], Any] | None
    optimizer: keras.optimizers.Optimizer

    @property
    def loss_dtype(self) -> str:
        """dtype of the loss: float32, or float64 in double precision."""
        return self.loss.dtype

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))

    def weights(self) -> np.ndarray | None:
        """Rows of the head as they classify, shape (K, h); None without one."""
        return None if self.head is None else np.asarray(self.head.kernel).T

    def variables(self) -> list[keras.Variable]:
        """All that training changes: weights, moving statistics, iterations, velocities."""
        return [*self.model.variables, *self.optimizer.variables]

    def classifier_model(self, classifier: np.ndarray) -> keras.Model:
        """The model to keep: images → logits, with the trained head, or with rows `classifier` (K, h) without one.

        It is not compiled: loading it takes no optimizer of ours. A head that is no layer of Keras's own becomes the
        linear one of its rows, so that Keras loads it alone.
        """
        if isinstance(self.head, keras.layers.Dense):
            return keras.Model(self.model.input, self.model.output, name=self.encoder.name)
        if self.head is not None:
            classifier = self.weights()
        name = "class_means" if self.head is None else self.head.name
        head = keras.layers.Dense(len(classifier), use_bias=False, name=name, dtype=self.loss_dtype)
        model = keras.Model(self.encoder.input, head(self.encoder.output), name=self.encoder.name)
        head.set_weights([classifier.T])
        return model


def judged_layer(objective: Objective) -> str:
    """Name of the layer, in every model that is kept, whose output is the representation that is judged."""
    return "sphere" if objective.sphere and objective.make_projection is None else "representation"


def build_learner(experiment: Experiment, dataset: Dataset) -> Learner:
    """Build the learner of a resolved experiment; call it under the strategy's scope.

    Raises:
        UsageError: the head does not exist for K and h, or images too small for the encoder.
    """
    mean, deviation = dataset.channel_statistics()
    encoder = build_encoder(
        experiment.encoder,
        dataset.image_shape,
        width=experiment.width,
        dimension=experiment.dimension,
        mean=mean,
        standard_deviation=deviation,
        seed=experiment.seed,
    )
    objective, options = experiment.objective, experiment.options
    loss_dtype = "float64" if experiment.precision == "float64" else "float32"
    representation, projection, head = encoder.output, None, None
    if objective.make_projection is not None:
        body = objective.make_projection(options, representation.shape[-1], experiment.seed)
        projection = _on_sphere(body, objective, options) if objective.sphere else body
    elif objective.sphere:
        encoder = _on_sphere(encoder, objective, options)
        representation = encoder.output
    if objective.head == "learned":
        head = linear_head(dataset.num_classes, experiment.seed)
    elif objective.head == "fixed":
        head = objective.make_head(options, dataset.num_classes, representation.shape[-1], experiment.seed)
    last = projection if head is None else head
    model = encoder if last is None else keras.Model(encoder.inputs, last(representation), name=encoder.name)
    loss = make_loss(objective, options, loss_dtype)
    penalty = make_penalty(objective, options, loss_dtype)
    if penalty is not None:
        value = float(keras.ops.convert_to_numpy(penalty(keras.ops.transpose(head.kernel))))
        if not math.isfinite(value):
            raise UsageError(f"the penalty of {objective.name} is {value} for the first classifier")
    optimizer = Momentum(
        learning_rate_schedule(experiment), momentum=experiment.momentum, weight_decay=experiment.weight_decay
    )
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    return Learner(encoder, head, projection, model, loss, penalty, optimizer)


def _on_sphere(model: keras.Model, objective: Objective, options: Mapping[str, Any]) -> keras.Model:
    """The model with its output projected onto the objective's sphere, by a layer called "sphere"."""
    projected = project_to_sphere(objective.radius(options))(model.output)
    output = keras.layers.Identity(name="sphere", dtype=projected.dtype)(projected)
    return keras.Model(model.inputs, output, name=model.name)


def learning_rate_schedule(experiment: Experiment) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate of step t of T: polynomial lr·(1 − t/T)⁵ (the authors'), cosine, or constant."""
    start, steps = experiment.learning_rate, experiment.iterations
    if experiment.schedule == "polynomial":
        return keras.optimizers.schedules.PolynomialDecay(start, steps, end_learning_rate=0.0, power=5.0)
    if experiment.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(start, steps)
    return start
