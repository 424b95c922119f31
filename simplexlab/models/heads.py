"""What stands on an encoder: linear and fixed classifiers, the projection head, the projection onto the sphere."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from simplexlab.errors import UsageError
from simplexlab.geometry.configurations import head_simplex, random_rotation


def linear_head(num_classes: int, seed: int = 0) -> keras.layers.Dense:
    """Make the linear classifier without bias: logits ⟨w_y, z⟩ in at least float32.

    Args:
        num_classes: number of classes K.
        seed: the kernel is drawn from U(−1/√h, 1/√h), PyTorch's default, by this seed.

    Returns:
        A layer from representations (b, h) to logits (b, K). Row y of its transposed kernel is w_y.
    """
    kernel = keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform", seed=seed)
    return keras.layers.Dense(
        num_classes, use_bias=False, kernel_initializer=kernel, dtype=_precise(), name="classifier"
    )


def simplex_head(
    num_classes: int, dimension: int, radius: float = 1.0, seed: int = 0, alignment: str = "rotated"
) -> keras.layers.Dense:
    """Make the fixed classifier of CE-fix: a frozen linear head whose rows are a regular simplex.

    Args:
        num_classes: number of classes K, at most `dimension` + 1.
        dimension: dimension h of the representation.
        radius: norm of each row.
        seed: the rotation is drawn by this seed from Haar measure on O(h).
        alignment: `rotated` by it; or `aligned` with the orthant, rows r·√(K/(K−1))·(e_y − 1/K) in the first K
            coordinates, where non-negative representations reach the bound of the orthogonal frame.

    Returns:
        A layer that is not trainable, from representations (b, h) to logits (b, K) in at least float32.

    Raises:
        UsageError: K > h + 1, where no regular simplex exists, or K > h where it cannot be aligned.
    """
    needed = num_classes if alignment == "aligned" else num_classes - 1
    if dimension < needed:
        raise UsageError(
            f"no {alignment} regular simplex of {num_classes} classes exists in dimension {dimension}: a fixed simplex "
            f"needs a dimension of at least {needed}"
        )
    return fixed_head(head_simplex(num_classes, dimension, radius, alignment=alignment, seed=seed))


def fixed_head(rows: np.ndarray) -> keras.layers.Dense:
    """Make a classifier whose rows stay what they are.

    Args:
        rows: w_y, one a class, shape (K, h).

    Returns:
        A layer that is not trainable, from representations (b, h) to logits (b, K) in at least float32.
    """
    head = keras.layers.Dense(len(rows), use_bias=False, trainable=False, dtype=_precise(), name="classifier")
    head.build((None, rows.shape[1]))
    head.set_weights([rows.T])
    return head


@keras.saving.register_keras_serializable(package="simplexlab")
class OrthonormalHead(keras.layers.Layer):
    """Logits s·⟨q_y, z⟩ of fixed orthonormal rows q_y and one scale s: representations (b, h) → (b, K).

    Args:
        num_classes: K, at most h.
        scale: s at the start; the original starts at 10.
        learned: whether s is trained.
        seed: the rows are the first K of a rotation drawn from Haar measure on O(h) by this seed.
        dtype: at least float32.

    Raises:
        ValueError: K > h, when it is built.

    Reference: Hoffer et al. 2018, without the bias.
    """

    def __init__(
        self,
        num_classes: int,
        scale: float = 10.0,
        learned: bool = True,
        seed: int = 0,
        name: str = "classifier",
        dtype: str | None = None,
        **arguments: Any,
    ):
        super().__init__(name=name, dtype=dtype or _precise(), **arguments)
        self.num_classes, self.first_scale, self.learned, self.seed = num_classes, scale, learned, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Draw the rows."""
        dimension = input_shape[-1]
        if self.num_classes > dimension:
            raise ValueError(f"{self.num_classes} orthonormal rows need a dimension of at least {self.num_classes}")
        rows = random_rotation(dimension, self.seed)[: self.num_classes]
        self.directions = self.add_weight(name="directions", shape=rows.T.shape, trainable=False)
        self.directions.assign(rows.T)
        start = keras.initializers.Constant(self.first_scale)
        self.scale = self.add_weight(name="scale", shape=(), initializer=start, trainable=self.learned)
        self.built = True

    @property
    def kernel(self) -> Any:
        """The rows as they classify, s·q_y, as columns, shape (h, K)."""
        return self.scale * self.directions

    def call(self, inputs: Any) -> Any:
        """The logits."""
        return self.scale * keras.ops.matmul(inputs, self.directions)

    def get_config(self) -> dict:
        """Arguments that rebuild this layer."""
        own = {"num_classes": self.num_classes, "scale": self.first_scale, "learned": self.learned, "seed": self.seed}
        return {**super().get_config(), **own}


def projection_head(dimension: int, width: int, seed: int = 0) -> keras.Model:
    """Make the projection head of SupCon: two dense layers with bias, h → h with ReLU → width.

    Args:
        dimension: dimension h of the representation.
        width: dimension of the output.
        seed: kernels and biases are drawn from U(−1/√h, 1/√h), PyTorch's default, by this seed.

    Returns:
        A functional model from representations (b, h) to points (b, width), in at least float32, not normalised.
    """
    seeds = iter(np.random.default_rng(seed).integers(2**31, size=4).tolist())
    bound = dimension**-0.5

    def dense(units: int, activation: str | None, name: str) -> keras.layers.Dense:
        kernel, bias = (keras.initializers.RandomUniform(-bound, bound, seed=next(seeds)) for _ in range(2))
        return keras.layers.Dense(
            units, activation, kernel_initializer=kernel, bias_initializer=bias, dtype=_precise(), name=name
        )

    taken = keras.Input((dimension,), dtype=_precise(), name="representation")
    hidden = dense(dimension, "relu", "projection_hidden")(taken)
    return keras.Model(taken, dense(width, None, "projection_output")(hidden), name="projection")


def project_to_sphere(radius: float) -> Callable:
    """Make SC's projection of representations onto the sphere: z ↦ radius · z / √(‖z‖² + 1e-12).

    The constant keeps value and gradient finite at the origin, which is mapped to itself.

    Args:
        radius: radius ρ of the sphere, 1/√τ for temperature τ.

    Returns:
        A function of representations (b, h), a tensor or the output of a functional model, that returns the projected
        ones in at least float32. It consists of `keras.ops`, so that a model with it is loaded by Keras alone.
    """

    def project(representations):
        z = keras.ops.cast(representations, keras.backend.result_type(representations.dtype, "float32"))
        square = keras.ops.sum(keras.ops.square(z), axis=-1, keepdims=True)
        return z * (radius * keras.ops.rsqrt(square + 1e-12))

    return project


def _precise() -> str:
    return keras.backend.result_type(keras.config.dtype_policy().compute_dtype, "float32")
