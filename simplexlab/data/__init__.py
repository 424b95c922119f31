"""Images and labels: datasets, label corruption, and (on import of their own modules) index sampling and augmentation.

`sampling` and `augmentation` need TensorFlow and are imported by name; everything else here is numpy alone.
"""

from simplexlab.data.dataset import Dataset
from simplexlab.data.labels import corrupt_labels
from simplexlab.data.loading import availability, load, require

__all__ = ["Dataset", "availability", "corrupt_labels", "load", "require"]
