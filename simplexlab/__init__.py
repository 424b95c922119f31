"""simplexlab: see what supervised losses do to representations.

Cross-entropy (CE), cross-entropy with a fixed simplex classifier (CE-fix) and the supervised contrastive loss (SC)
reach their minimum when each class collapses onto a vertex of a regular simplex (Graf et al., "Dissecting Supervised
Contrastive Learning", ICML 2021). The subpackages are imported on first use, so `import simplexlab` costs nothing; the
Keras objects of the project are registered as soon as both this package and Keras are imported, in either order.
"""

from simplexlab.after_import import after_import

__version__ = "0.2.0"


def _register_keras_objects() -> None:
    """Import what is registered with Keras: the losses, and what needs TensorFlow where that is Keras's backend."""
    import keras

    import simplexlab.losses

    if keras.backend.backend() == "tensorflow":
        import simplexlab.models.convolution
        import simplexlab.models.normalization
        import simplexlab.training.optimizer  # noqa: F401


after_import("keras", _register_keras_objects)
