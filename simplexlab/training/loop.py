"""The loop: many steps in one graph call, the same numbers on one device and on several replicas."""

import math
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.data.augmentation import augment
from simplexlab.data.sampling import batch_indices
from simplexlab.training.learner import Learner
from simplexlab.training.runtime import Runtime

ENCODED_PIXELS = {"CPU": 2**17, "GPU": 2**19}  # at once on a replica, of all images of a part
CHUNK_SECONDS = 0.5


class Loop:
    """Runs training steps and encodes whole splits, with the images resident on every device.

    Step t draws the indices of its global batch from (seed, t) alone; replica r of R takes the r-th share. So one
    device, several replicas and a resumed run see the same batches, and the loss of step t does not depend on how
    many steps a graph call runs.

    Args:
        experiment: resolved options.
        dataset: images (uint8) and labels; `labels` replace the training labels.
        labels: the labels given to training, shape (N,).
        learner: encoder, head, loss and optimizer, built under the strategy of `runtime`.
        runtime: strategy and compilation.
    """

    def __init__(
        self, experiment: Experiment, dataset: Dataset, labels: np.ndarray, learner: Learner, runtime: Runtime
    ):
        self.experiment = experiment
        self.learner = learner
        self.runtime = runtime
        self.strategy = runtime.strategy
        self.replicas = runtime.replicas
        self.share = experiment.batch_size // self.replicas
        # Both splits in one tensor: they are encoded together.
        self.images = self._resident(np.concatenate([dataset.x_train, dataset.x_test]))
        self.labels = self._resident(labels.astype(np.int32))
        self.train_size, self.size = len(labels), len(labels) + len(dataset.y_test)
        self._replica_step = tf.function(self._step, autograph=False, jit_compile=True) if runtime.jit else self._step
        self._replica_encode = (
            tf.function(self._encode_part, autograph=False, jit_compile=True) if runtime.jit else self._encode_part
        )
        # As few calls as the limit allows, of one size, so that their graph knows it and the last one pads little.
        images = math.ceil(self.size / self.replicas)
        limit = max(1, ENCODED_PIXELS[runtime.devices[0][:3]] // math.prod(dataset.image_shape[:2]))
        self.encoded_share = math.ceil(images / math.ceil(images / limit))
        self._chunk = 1

    def run(self, start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """Run steps start … stop − 1; after each graph call yield (steps done, loss of each step of the call).

        A graph call holds as many steps as fit into about half a second, so that an interrupt is answered soon. The
        losses come one by one: a sum over a call would depend on how fast the machine is.
        """
        step = start
        while step < stop:
            count = self.runtime.gather(min(self._chunk, stop - step))[0]
            began = time.perf_counter()
            losses = self._run_steps(
                tf.constant(step, tf.int64), tf.constant(count, tf.int64), self.images, self.labels
            )
            losses = losses.numpy().astype(np.float64)
            seconds = (time.perf_counter() - began) / count
            # The first call of all also traces the graph: its time says nothing about a step.
            self._chunk = max(1, min(1000, math.ceil(CHUNK_SECONDS / seconds))) if step > start or count > 1 else 2
            step += count
            yield step, losses

    def encode(self) -> tuple[np.ndarray, np.ndarray]:
        """Representations of all training and of all test images, (N, h) and (M, h), by the encoder in inference."""
        starts = range(0, self.size, self.encoded_share * self.replicas)
        values = np.concatenate([self._encode(tf.constant(start), self.images).numpy() for start in starts])
        return values[: self.train_size], values[self.train_size : self.size]

    def _resident(self, array: np.ndarray):
        return self.strategy.experimental_distribute_values_from_function(lambda _: tf.identity(array))

    # Without AutoGraph: it would take the start of a run half a second to find no control flow to translate.
    @tf.function(autograph=False, reduce_retracing=True)
    def _run_steps(self, start, count, images, labels):
        def one_step(offset, losses):
            shares = self.strategy.run(self._replica_step, (start + tf.cast(offset, tf.int64), images, labels))
            return offset + 1, losses.write(offset, self.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None))

        count = tf.cast(count, tf.int32)
        losses = tf.TensorArray(self.learner.loss_dtype, count)
        _, losses = tf.while_loop(lambda offset, _: offset < count, one_step, (0, losses))
        return losses.stack()

    def _step(self, step, images, labels):
        """One step of one replica; returns its part of the mean loss of the global batch."""
        experiment, learner = self.experiment, self.learner
        first = self._replica() * self.share
        indices = batch_indices(experiment.seed, step, experiment.batch_size, self.train_size)
        indices = tf.slice(indices, [first], [self.share])
        batch = tf.gather(images, indices)
        targets = tf.gather(labels, indices)
        if experiment.augment:
            batch = augment(batch, experiment.seed, step, experiment.batch_size, first)
        with tf.GradientTape() as tape:
            outputs = learner.model(batch, training=True)
            loss = tf.reduce_mean(learner.loss(targets, outputs)) / self.replicas
        variables = learner.model.trainable_variables
        learner.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function(autograph=False, reduce_retracing=True)
    def _encode(self, start, images):
        return self.strategy.gather(self.strategy.run(self._replica_encode, (start, images)), axis=0)

    def _encode_part(self, start, images):
        indices = start + self._replica() * self.encoded_share + tf.range(self.encoded_share)
        indices = tf.minimum(indices, tf.shape(images)[0] - 1)
        return tf.cast(self.learner.encoder(tf.gather(images, indices), training=False), self.learner.loss_dtype)

    def _replica(self):
        return tf.distribute.get_replica_context().replica_id_in_sync_group
