"""Solutions of lesson 6."""


def pure_noise(num_classes):
    return (num_classes - 1) / num_classes


def right_pair_share(fraction, num_classes):
    return (1 - fraction) ** 2 + fraction**2 / (num_classes - 1)


def first_fit(iterations, errors, tolerance):
    for iteration, error in zip(iterations, errors, strict=True):
        if error <= tolerance:
            return iteration
    return None


def full_rate_steps(iteration, total):
    return sum((1 - step / total) ** 5 for step in range(iteration))
