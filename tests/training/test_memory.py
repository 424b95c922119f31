"""What cannot fit is refused in one line, before a run folder is made."""

import math
import os

import pytest

from simplexlab.models import build_encoder, least_memory


@pytest.mark.parametrize("name", ["resnet18", "resnet18-preact", "resnet-small", "resnet-small-preact", "mlp"])
@pytest.mark.parametrize("dimension", [None, 7])
@pytest.mark.parametrize("shape", [(32, 32, 3), (9, 7, 1)])
def test_the_least_memory_is_below_what_keras_counts_and_not_far(name, dimension, shape):
    options = {"width": 12, "dimension": dimension}
    encoder = build_encoder(name, shape, **options)
    features = encoder.output.shape[-1]
    weights = 12 * (encoder.count_params() + 10 * features)
    least = [least_memory(name, shape, **options, num_classes=10, batch_size=size) for size in (0, 1)]
    assert 0.7 * weights < least[0] <= weights
    outputs = sum(4 * math.prod(layer.output.shape[1:]) for layer in encoder.layers if layer.trainable_weights)
    assert 0.4 * outputs < least[1] - least[0] <= outputs


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--dimension", "1000000000000"), "--dimension 1000000000000 must be at most 2147483647"),
        (("--dimension", "2000000000"), "a step with --batch-size 128, --width 16, --dimension 2000000000 needs"),
        (("--batch-size", "1000000000"), "a step with --batch-size 1000000000, --width 16 needs"),
        (("--batch-size", "9" * 20), "is too large"),
        (("--iterations", "9" * 20), "is too large"),
        (("--evaluate-every", "9" * 400), "is too large"),
        (("--learning-rate", "1e300"), "--learning-rate 1e+300 must be from 1e-30 to 1e+30"),
        (("--loss", "ce-fix", "--head-radius", "1e300"), "--head-radius 1e+300 must be from 1e-30 to 1e+30"),
        (("--loss", "sc", "--temperature", "1e-300"), "--temperature 1e-300 must be from 1e-30 to 1e+30"),
        (("--weight-decay", "1e31"), "--weight-decay 1e+31 must be at most 1e+30"),
        (("--learning-rate", "nan"), "not a finite number"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(simplexlab, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    code, out, error = simplexlab("train", "--devices", "cpu", *words)
    assert (code, out) == (2, "")
    assert told in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_the_largest_and_smallest_that_are_taken_end(simplexlab, tiny_npz, tmp_path):
    quick = ("--dataset", tiny_npz, "--encoder", "mlp", "--width", 2, "--batch-size", 8, "--iterations", 20)
    for index, extreme in enumerate(
        (("--learning-rate", 1e30), ("--learning-rate", 1e-30), ("--loss", "ce-fix", "--head-radius", 1e30))
    ):
        code, _, error = simplexlab(
            "train", *quick, *extreme, "--evaluate-every", 10, "--run-dir", tmp_path / str(index)
        )
        assert code in (0, 1), error
        assert "Traceback" not in error
        assert code == 0 or "the loss became non-finite" in error
