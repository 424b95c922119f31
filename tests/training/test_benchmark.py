"""The figures of `simplexlab bench`."""

import json
import subprocess
import sys

import pytest

from simplexlab.training.benchmark import forward_flops, matrix_peak


def test_operations_of_a_forward_pass():
    import keras

    images = keras.Input((8, 8, 3))
    convolved = keras.layers.Conv2D(5, 3, padding="same", use_bias=False)(images)
    flat = keras.layers.Flatten()(convolved)
    model = keras.Model(images, keras.layers.Dense(7, use_bias=False)(flat))
    by_hand = 2 * (64 * 5 * 9 * 3 + 64 * 5 * 7)
    assert forward_flops(model, 4) == 4 * by_hand


def test_the_peak_is_one_a_cpu_can_have():
    assert 1e8 < matrix_peak("CPU:0", "float32") < 1e14


def test_the_figures_agree_with_one_another_and_nothing_is_left_behind(tmp_path, tiny_npz):
    before = set(tmp_path.rglob("*"))
    # A process of its own: TensorFlow fixes its threads at its first operation.
    options = ["--encoder", "mlp", "--width", "4", "--batch-size", "16", "--evaluate-every", "50", "--seconds", "0.5"]
    command = [sys.executable, "-m", "simplexlab", "bench", "--dataset", str(tiny_npz), "--devices", "cpu", *options]
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    rate = record["steps_per_second"]
    low, high = record["steps_per_second_quartiles"]
    assert 0 < low <= rate <= high
    assert record["experiment"]["width"] == 4
    assert record["images_per_second"] == pytest.approx(16 * rate)
    assert record["share_of_peak"] == pytest.approx(record["flops_per_step"] * rate / record["peak_flops_per_second"])
    assert record["evaluation_overhead"] == pytest.approx(record["evaluation_seconds"] * rate / 50)
    assert record["peak_memory_bytes"] > 1e8
    assert record["gpu_peak_memory_bytes"] is None
    assert record["devices"] == ["CPU:0"]
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [["--seconds", 0], ["--seconds", "nan"], ["--until-fit"], ["--batch-size", 2]])
def test_wrong_usage(simplexlab, words):
    assert simplexlab("bench", *words)[0] == 2
