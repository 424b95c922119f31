"""The hyperspherical energy of a classifier's directions, a penalty that spreads them apart."""

from typing import Any

import keras
import numpy as np
from keras import ops

POWERS = (0, 1, 2)


def hyperspherical_energy(rows: Any, power: int = 2) -> Any:
    """Mean energy over the pairs of the directions of some vectors.

    With ŵ_i = w_i/‖w_i‖, the mean over pairs i < j of ‖ŵ_i − ŵ_j‖^(−s), for s = 0 of −log‖ŵ_i − ŵ_j‖. Squared distances
    below the rounding of the dtype count as that, and a vector that is 0 is its own direction, so that value and
    gradient are finite; those that nearly coincide have a steep gradient, which float16 cannot hold.

    Args:
        rows: w, shape (K, h), K ≥ 2, any float dtype; half precision is raised to float32.
        power: s, 0, 1 or 2.

    Returns:
        A scalar, float32 or float64.

    Raises:
        ValueError: another power, or fewer than two vectors.

    Reference:
        Equation 1 of Liu et al., "Learning towards Minimum Hyperspherical Energy", NeurIPS 2018, over the number of
        pairs.
    """
    if power not in POWERS:
        raise ValueError(f"the power must be 0, 1 or 2, not {power}")
    rows = ops.convert_to_tensor(rows)
    rows = ops.cast(rows, keras.backend.result_type(rows.dtype, "float32"))
    count = rows.shape[0]
    if len(rows.shape) != 2 or count < 2:
        raise ValueError(f"the energy needs at least two vectors as rows (K, h), not shape {tuple(rows.shape)}")
    squares = ops.sum(ops.square(rows), axis=1, keepdims=True)
    units = ops.where(squares > 1e-24, rows * ops.rsqrt(ops.maximum(squares, 1e-24)), 0.0)
    first, second = np.triu_indices(count, 1)
    cosines = ops.take(ops.reshape(ops.matmul(units, ops.transpose(units)), (-1,)), first * count + second)
    distances = ops.maximum(2.0 - 2.0 * cosines, np.finfo(keras.backend.standardize_dtype(rows.dtype)).eps)
    return ops.mean(-ops.log(distances) / 2.0 if power == 0 else distances ** (-power / 2.0))


@keras.saving.register_keras_serializable(package="simplexlab")
class HypersphericalEnergy(keras.regularizers.Regularizer):
    """weight · `hyperspherical_energy` of the neurons of a layer: a Keras regularizer of its kernel.

    Args:
        weight: β of the energy, at least 0.
        power: s, 0, 1 or 2.

    Call arguments:
        kernel: of a dense layer (h, K), or of a convolution (…, K): one neuron in each entry of the last axis.

    Raises:
        ValueError: weight or power out of range, or fewer than two neurons.

    Example:
        >>> head = keras.layers.Dense(10, use_bias=False, kernel_regularizer=HypersphericalEnergy(weight=1.0, power=2))

    Reference:
        Liu et al., "Learning towards Minimum Hyperspherical Energy", NeurIPS 2018.
    """

    def __init__(self, weight: float = 1.0, power: int = 2):
        if not 0.0 <= weight < float("inf"):
            raise ValueError(f"weight must be a finite number of at least 0, not {weight}")
        if power not in POWERS:
            raise ValueError(f"the power must be 0, 1 or 2, not {power}")
        self.weight = float(weight)
        self.power = int(power)

    def __call__(self, kernel: Any) -> Any:
        """The penalty, a scalar."""
        neurons = ops.transpose(ops.reshape(kernel, (-1, kernel.shape[-1])))
        return self.weight * hyperspherical_energy(neurons, self.power)

    def get_config(self) -> dict:
        """Arguments that rebuild this regularizer."""
        return {"weight": self.weight, "power": self.power}
