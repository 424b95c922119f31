"""Event files for TensorBoard, in the train/validation layout that other tools import."""

import contextlib
import os
from pathlib import Path

import keras
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event


class EventFiles(keras.callbacks.Callback):
    """Write every number of an evaluation to `folder/train` or, where it comes from the test set, `folder/validation`.

    Test numbers carry the same tag as the training number beside them (`error`), so that TensorBoard overlays them.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self.writers: dict[str, tf.summary.SummaryWriter] = {}

    def on_epoch_end(self, epoch, logs=None):
        """Write the evaluation's numbers at its iteration."""
        logs = dict(logs or {})
        step = int(logs.pop("iteration"))  # Keras turns every log into a float
        for key, value in logs.items():
            if value is None:
                continue
            part, tag = "train", key
            if key.startswith(("train_", "test_")):
                split, tag = key.split("_", 1)
                part = "validation" if split == "test" else "train"
            with self._writer(part).as_default():
                tf.summary.scalar(tag, value, step=step)
        for writer in self.writers.values():
            writer.flush()

    def rewind(self, iteration: int) -> None:
        """Take what was written after `iteration` out of the files that are there, with any half-written end."""
        for path in self.folder.glob("*/events.out.tfevents.*"):
            temporary = path.with_name(f".{path.name}.tmp")
            with tf.io.TFRecordWriter(str(temporary)) as writer, contextlib.suppress(tf.errors.DataLossError):
                for record in tf.data.TFRecordDataset(str(path)):
                    if Event.FromString(record.numpy()).step <= max(iteration, 0):
                        writer.write(record.numpy())
            os.replace(temporary, path)

    def on_train_end(self, logs=None):
        """Close the files."""
        for writer in self.writers.values():
            writer.close()

    def _writer(self, part: str) -> tf.summary.SummaryWriter:
        if part not in self.writers:
            self.writers[part] = tf.summary.create_file_writer(str(self.folder / part))
        return self.writers[part]
