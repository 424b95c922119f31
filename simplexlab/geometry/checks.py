"""Checks of arguments, shared by geometry and theory: each raises a ValueError that says what would be right."""

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

SMALLEST, LARGEST = 1e-300, 1e300  # within them, no formula of a bound overflows to NaN
LARGEST_WHOLE = 2**53  # beyond it, float64 does not hold every whole number


def whole(name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"the {name} must be a whole number, got {value!r}") from None
    if number < minimum:
        raise ValueError(f"the {name} must be at least {minimum}, got {number}")
    if number > LARGEST_WHOLE:
        raise ValueError(f"the {name} must be at most 2**53, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """Return `value` as a float greater than 0, from 1e-300 to 1e300."""
    number = float(value)
    if not number > 0:
        raise ValueError(f"the {name} must be greater than 0, got {number:g}")
    if not SMALLEST <= number <= LARGEST:
        raise ValueError(f"the {name} must be from {SMALLEST:g} to {LARGEST:g}, got {number:g}")
    return number


def not_negative(name: str, value: Any) -> float:
    """Return `value` as a float of at least 0 and at most 1e300."""
    number = float(value)
    if not number >= 0:
        raise ValueError(f"the {name} must be at least 0, got {number:g}")
    if number > LARGEST:
        raise ValueError(f"the {name} must be at most {LARGEST:g}, got {number:g}")
    return number


def choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`."""
    if value not in choices:
        raise ValueError(f"the {name} must be one of {', '.join(choices)}, got {value!r}")
    return value


def as_array(value: Any) -> np.ndarray:
    """Return an array of any library, or a sequence of them, as NumPy's.

    Gradients are left out, other devices are copied from, bfloat16 and eight-bit floats become float32, sparse tensors
    dense; what offers DLPack alone is taken by it.

    Raises:
        ValueError: it holds no data, or of a type that NumPy cannot take.
    """
    if isinstance(value, np.ndarray):
        return _with_numpys_type(value)
    if isinstance(value, list | tuple) and any(map(_is_of_a_library, value)):
        return np.stack([as_array(part) for part in value])
    try:
        if hasattr(value, "detach") and hasattr(value, "cpu"):  # a PyTorch tensor
            value = _plain_tensor(value)
        elif hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            value = np.from_dlpack(value)
        return _with_numpys_type(np.asarray(value))
    except (TypeError, RuntimeError, NotImplementedError, BufferError) as error:
        why = str(error).partition("\n")[0]
        raise ValueError(f"a {type(value).__name__} cannot be read as an array: {why}") from None


def real_numbers(value: Any) -> np.ndarray:
    """Return an array of any library, see `as_array`, in float64.

    Raises:
        ValueError: what it holds are no real numbers.
    """
    array = as_array(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"real numbers are taken here, got {array.dtype}")
    return array.astype(np.float64, copy=False)


def _is_of_a_library(value: Any) -> bool:
    return not isinstance(value, np.ndarray | np.generic) and (hasattr(value, "detach") or hasattr(value, "__dlpack__"))


def _plain_tensor(tensor: Any) -> Any:
    """A PyTorch tensor that NumPy can take: on the CPU, dense, without a gradient and of a type that both know."""
    tensor = tensor.detach().cpu()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    elif str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        tensor = tensor.to_dense()
    for bit in ("resolve_conj", "resolve_neg"):
        if hasattr(tensor, bit):
            tensor = getattr(tensor, bit)()
    return tensor.float() if str(tensor.dtype).startswith(("torch.bfloat16", "torch.float8")) else tensor


def _with_numpys_type(array: np.ndarray) -> np.ndarray:
    is_short_float = array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat16", "float8"))
    return array.astype(np.float32) if is_short_float else array


def matrix(name: str, value: ArrayLike, dtype: Any = np.float64) -> np.ndarray:
    """Return `value` as a real, non-empty matrix; `dtype=None` keeps float32 and float64 as they are."""
    array = as_array(value)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"the {name} must be a matrix with a row each, got shape {array.shape}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"the {name} must be real numbers, got {array.dtype}")
    if dtype is not None or array.dtype not in (np.float32, np.float64):
        array = array.astype(dtype or np.float64, copy=False)
    return array


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """Return `array` if every number in it is finite."""
    if not np.isfinite(array).all():
        raise ValueError(f"the {name} must be finite; they hold NaN or infinity")
    return array


def whole_labels(labels: ArrayLike, num_points: int) -> np.ndarray:
    """Return the labels, (N,) or (N, 1), whole numbers of any type, as integers (N,).

    Raises:
        ValueError: not whole numbers, or not one a point.
    """
    array = as_array(labels)
    if array.shape not in ((num_points,), (num_points, 1)):
        raise ValueError(f"the labels must be one number for each of {num_points} points, got shape {array.shape}")
    array = array.reshape(num_points)
    if array.dtype.kind not in "iu":
        numbers = array.astype(np.float64) if array.dtype.kind == "f" else np.array([np.nan])
        if not (np.abs(numbers) < 2**62).all() or (numbers % 1 != 0).any():
            raise ValueError(f"the labels must be whole numbers 0 … K−1, got {array.dtype}")
        array = array.astype(np.int64)
    return array


def batch_rows(indices: ArrayLike) -> np.ndarray:
    """Return the rows of each batch, whole numbers (R, b), b ≥ 2.

    Raises:
        ValueError: they are not.
    """
    array = as_array(indices)
    if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind not in "iu":
        raise ValueError(
            f"the indices must be whole numbers of shape (R, b) with b ≥ 2, got {array.dtype} of shape {array.shape}"
        )
    return array


def class_labels(labels: ArrayLike, num_points: int, num_classes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels (N,) and the number of points of each class (K,).

    Raises:
        ValueError: not whole numbers, not one a point, not 0 … K−1, a class without a point, or a single class.
    """
    array = whole_labels(labels, num_points)
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or (num_classes is not None and highest >= num_classes):
        wanted = "0 … K−1" if num_classes is None else f"0 … {num_classes - 1}"
        raise ValueError(f"the labels must be {wanted}, got {lowest} … {highest}")
    if highest >= num_points and num_classes is None:
        raise ValueError(f"the labels must be 0 … K−1 without a gap, got {highest} among {num_points} points")
    counts = np.bincount(array, minlength=num_classes or 0)
    if len(counts) < 2:
        raise ValueError("the labels name a single class; at least two are needed")
    if (counts == 0).any():
        absent = np.flatnonzero(counts == 0)
        names = ", ".join(map(str, absent[:5])) + (" …" if len(absent) > 5 else "")
        raise ValueError(f"the labels must cover 0 … {len(counts) - 1}; no point has label {names}")
    return array, counts
