"""What can be said of an encoder by its name, without TensorFlow."""


def is_nonnegative(encoder: str, dimension: int | None) -> bool:
    """Tell whether every coordinate of an encoder's representation is at least 0.

    Args:
        encoder: name of the encoder.
        dimension: dimension of the final linear map, or None without one.

    Returns:
        True for an encoder that ends in a ReLU with no linear map behind it: its optimum is the orthogonal frame, not
        the simplex.
    """
    return dimension is None and not encoder.endswith("-preact")
