"""Event files for TensorBoard, in the train/validation layout that other tools import."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event

from simplexlab.errors import RunError
from simplexlab.files import replacing


class EventFiles(keras.callbacks.Callback):
    """Write every number of an evaluation to `folder/train` or, where it comes from the test set, `folder/validation`.

    Test numbers carry the same tag as the training number beside them (`error`), so that TensorBoard overlays them.
    """

    reads_logs_only = True

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self.writers: dict[str, tf.summary.SummaryWriter] = {}

    def on_epoch_end(self, epoch, logs=None):
        """Write the evaluation's numbers at its iteration."""
        logs = dict(logs or {})
        step = int(logs.pop("iteration"))  # Keras turns every log into a float
        metadata = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"})
        summaries = {"train": tf.compat.v1.Summary(), "validation": tf.compat.v1.Summary()}
        for key, value in logs.items():
            split, _, tag = key.partition("_")
            part, tag = {"train": ("train", tag), "test": ("validation", tag)}.get(split, ("train", key))
            tensor = summaries[part].value.add(tag=tag, metadata=metadata).tensor
            tensor.dtype = tf.float32.as_datatype_enum
            tensor.tensor_shape.SetInParent()  # a scalar's
            tensor.float_val.append(value)
        with self._told():
            for part, summary in summaries.items():
                if summary.value:
                    writer = self._writer(part)
                    with writer.as_default():
                        tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=step)
                    writer.flush()

    def rewind(self, iteration: int) -> None:
        """Take what was written after `iteration` out of the files that are there, with any half-written end."""
        with self._told():
            for path in self.folder.glob("*/events.out.tfevents.*"):
                with (
                    replacing(path) as temporary,
                    tf.io.TFRecordWriter(str(temporary)) as writer,
                    contextlib.suppress(tf.errors.DataLossError),
                ):
                    for record in tf.data.TFRecordDataset(str(path)):
                        if Event.FromString(record.numpy()).step <= max(iteration, 0):
                            writer.write(record.numpy())

    def on_train_end(self, logs=None):
        """Close the files."""
        with self._told():
            for writer in self.writers.values():
                writer.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            full = isinstance(error, tf.errors.ResourceExhaustedError)
            reason = "No space left on device" if full else error.message
            if not self.folder.parent.is_dir():
                reason = "the run folder was removed while the run was going"
            raise RunError(f"cannot write the event files in {self.folder}: {reason}") from error

    def _writer(self, part: str) -> tf.summary.SummaryWriter:
        if part not in self.writers:
            self.writers[part] = tf.summary.create_file_writer(str(self.folder / part))
        return self.writers[part]
