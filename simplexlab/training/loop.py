"""The loop: many steps in one graph call, the same numbers on one device and on several replicas."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from simplexlab.config import Experiment, class_share
from simplexlab.data import Dataset
from simplexlab.data.augmentation import augment
from simplexlab.data.sampling import BalancedBatches, batch_indices
from simplexlab.training.learner import Learner
from simplexlab.training.runtime import Runtime

ENCODED_PIXELS = {"CPU": 2**17, "GPU": 2**21}  # at once on a replica, of all images of a part
CHUNK_SECONDS = 0.5
LONGEST_CHUNK = 1000
HOST = "CPU:0"


class Loop:
    """Runs training steps and encodes whole splits, with the images resident on every device.

    Step t draws the indices of its global batch from (seed, t) alone; replica r of R takes the r-th share of the
    images, with all their views. So one device, several replicas and a resumed run see the same batches, and the loss
    of step t does not depend on how many steps a graph call runs.

    Images and labels are variables, one of each on every device of this worker: a gather from a variable has kernels
    for uint8 on GPUs, which one from a tensor lacks. What counts there is int64, as TensorFlow keeps int32 in the
    host's memory; what the host alone needs, the number of the step and the seeds made of it, stays on the host.

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
        self.devices = self.strategy.extended.worker_devices
        # Both splits in one variable: they are encoded together.
        self.images = self._resident(np.concatenate([dataset.x_train, dataset.x_test]))
        self.labels = self._resident(labels.astype(np.int64))
        self.losses = self._resident(np.zeros(LONGEST_CHUNK, learner.loss_dtype))
        self.balanced = None
        if class_share(experiment, dataset.num_classes):
            self.balanced = BalancedBatches(labels, experiment.batch_size)
            self.order = self._resident(self.balanced.order)
        self.train_size, self.size = len(labels), len(labels) + len(dataset.y_test)
        # Without AutoGraph: it would take the start of a run half a second to find no control flow to translate. XLA
        # compiles the loop as a whole, once: small steps would else take less time than their launches.
        self._run_steps = tf.function(self._steps, autograph=False, jit_compile=runtime.jit or None)
        self._replica_encode = (
            tf.function(self._encode_part, autograph=False, jit_compile=True) if runtime.jit else self._encode_part
        )
        # As few calls as the limit allows, of one size, so that their graph knows it and the last one pads little.
        images = math.ceil(self.size / self.replicas)
        limit = max(1, ENCODED_PIXELS[runtime.devices[0][:3]] // math.prod(dataset.image_shape[:2]))
        on_cpu = self.replicas == 1 and runtime.devices[0].startswith("CPU") and not runtime.jit
        self.side_by_side = operators_at_once() if on_cpu else 1
        calls = self.side_by_side * math.ceil(images / (limit * self.side_by_side))
        self.encoded_share = math.ceil(images / calls)
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
            losses = self._run_steps(tf.constant(step), tf.constant(count)).numpy()[:count].astype(np.float64)
            seconds = (time.perf_counter() - began) / count
            # The first call of all also traces the graph: its time says nothing about a step.
            self._chunk = (
                max(1, min(LONGEST_CHUNK, math.ceil(CHUNK_SECONDS / seconds))) if step > start or count > 1 else 2
            )
            step += count
            yield step, losses

    def encode(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Encode both splits by the encoder in inference.

        Returns:
            Representations of all training and of all test images, (N, h) and (M, h), and what the projection head
            makes of the first, (N, d), None without one.
        """
        starts = range(0, self.size, self.encoded_share * self.replicas)
        encode = self._encode.get_concrete_function(tf.TensorSpec((), tf.int32))

        def encoded(start: int) -> tuple[tf.Tensor, ...]:
            return self._gathered(encode(tf.constant(start)))

        if self.side_by_side > 1:
            with ThreadPoolExecutor(self.side_by_side) as pool:
                calls = list(pool.map(encoded, starts))
        else:  # a GPU goes on to the next part while the one before is copied to the host
            calls = [encoded(start) for start in starts]
        parts = [part for call in calls for part in call]
        values = np.concatenate([part.numpy() for part in parts])
        projections = None
        if self.learner.projection is not None:
            width = self.learner.encoder.output_shape[-1]
            values, projections = np.split(values, [width], axis=1)
            projections = projections[: self.train_size]
        return values[: self.train_size], values[self.train_size : self.size], projections

    def _resident(self, array: np.ndarray) -> list[tf.Variable]:
        """A copy of the array on every device of this worker."""
        variables = []
        for device in self.devices:
            with tf.device(device):
                variables.append(tf.Variable(array, trainable=False))
        return variables

    def _steps(self, start, count):
        """The losses of `count` steps, first in a vector of `LONGEST_CHUNK`; added up over the replicas once."""

        def one_step(offset):
            with tf.device(HOST):
                step, position = tf.cast(start + offset, tf.int64), tf.cast(offset, tf.int64)
            shares = self._local(self.strategy.run(self._step, (step,)))
            for device, losses, share in zip(self.devices, self.losses, shares, strict=True):
                with tf.device(device):
                    losses.assign(tf.where(np.arange(LONGEST_CHUNK) == position, share, losses))
            return offset + 1

        tf.while_loop(lambda offset: offset < count, one_step, [0])
        return self._local(self.strategy.run(self._total_losses))[0]

    def _total_losses(self):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, self._here(self.losses).read_value())

    def _step(self, step):
        """One step of one replica; returns its part of the mean loss of the global batch."""
        learner = self.learner
        batch, targets = self._batch(step)
        with tf.GradientTape() as tape:
            outputs = learner.model(batch, training=True)
            loss = tf.reduce_mean(learner.loss(targets, outputs)) / self.replicas
            if learner.penalty is not None:  # a share on each replica: they are added up
                loss += learner.penalty(tf.transpose(learner.head.kernel)) / self.replicas
        variables = learner.model.trainable_variables
        learner.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def _batch(self, step):
        """The share of one replica in the batch of a step: images and labels, one view of all after the other."""
        experiment, first = self.experiment, self._replica() * self.share
        indices = tf.slice(self._indices(step), [first], [self.share])
        if self.balanced is not None:
            indices = tf.gather(self._here(self.order), indices)
        images, labels = tf.gather(self._here(self.images), indices), tf.gather(self._here(self.labels), indices)
        if not experiment.augment:
            return images, labels
        starts = [first + view * experiment.batch_size for view in range(experiment.views)]
        views = [augment(images, experiment.seed, step, experiment.points, start) for start in starts]
        return tf.concat(views, axis=0), tf.tile(labels, [experiment.views])

    def _indices(self, step):
        """What the global batch of a step is made of: images, or places in the order by class."""
        experiment = self.experiment
        if self.balanced is not None:
            return self.balanced.places(experiment.seed, step)
        return batch_indices(experiment.seed, step, experiment.batch_size, self.train_size)

    @tf.function(autograph=False, reduce_retracing=True)
    def _encode(self, start):
        return self.strategy.run(self._replica_encode, (start,))

    def _encode_part(self, start):
        with tf.device(HOST):
            first = tf.cast(start + self._replica() * self.encoded_share, tf.int64)
        indices = tf.minimum(first + np.arange(self.encoded_share), self.size - 1)
        images = tf.gather(self._here(self.images), indices)
        values = tf.cast(self.learner.encoder(images, training=False), self.learner.loss_dtype)
        if self.learner.projection is None:
            return values
        # One array, so that replicas gather once.
        return tf.concat([values, self.learner.projection(values, training=False)], axis=1)

    def _gathered(self, values) -> tuple[tf.Tensor, ...]:
        """What each replica of all workers has computed, in their order."""
        if self.replicas > len(self.devices):
            return (self.strategy.gather(values, axis=0),)
        return self._local(values)

    def _local(self, values) -> tuple[tf.Tensor, ...]:
        """What each replica of this worker has computed."""
        return self.strategy.experimental_local_results(values)

    def _here(self, values):
        """The one of this replica, of a list with one for each replica of this worker."""
        return values[self._replica() % len(self.devices)]

    def _replica(self) -> int:
        return int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))


def operators_at_once() -> int:
    """How many calls side by side it takes to have work for all threads: an encoder is a chain of operators.

    Of a small network each operator has half of the threads, see `runtime.thread_counts`.
    """
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    each = tf.config.threading.get_intra_op_parallelism_threads()
    return max(1, threads // each) if each else 1
