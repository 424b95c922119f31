"""The figures of `simplexlab bench`."""

import itertools
import json
import sys

import pytest

from simplexlab.config import Experiment
from simplexlab.errors import RunError, UsageError
from simplexlab.training.benchmark import MATRIX_SIZES, _Clock, forward_flops, matrix_peak
from simplexlab.training.beside_torch import TOLERANCE, compare
from simplexlab.training.beside_torch import _side as sides_real


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


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_peak_counts_the_products_of_all_threads(at_once, monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr("simplexlab.training.loop.operators_at_once", lambda: at_once)
    monkeypatch.setitem(MATRIX_SIZES, "CPU", 8)
    monkeypatch.setattr("simplexlab.training.benchmark.time.perf_counter", lambda: next(seconds))
    assert matrix_peak("CPU:0", "float32") == at_once * 2 * 8**3


@pytest.mark.parametrize(("fast", "taken"), [(True, "bfloat16"), (False, "float32")])
def test_the_peak_in_bfloat16_is_that_of_what_convolutions_compute_in(fast, taken, monkeypatch):
    import tensorflow as tf

    product, seen = tf.matmul, []
    monkeypatch.setattr("simplexlab.models.convolution.multiplies_bfloat16", lambda: fast)
    monkeypatch.setattr(tf, "matmul", lambda a, b: seen.append(a.dtype) or product(a, b))
    monkeypatch.setitem(MATRIX_SIZES, "CPU", 8)
    assert matrix_peak("CPU:0", "bfloat16") > 0
    assert set(seen) == {tf.as_dtype(taken)}


def test_the_figures_agree_with_one_another_and_nothing_is_left_behind(tmp_path, tiny_npz, forked):
    before = set(tmp_path.rglob("*"))
    # A process of its own: TensorFlow fixes its threads at its first operation.
    options = ["--encoder", "mlp", "--width", "4", "--batch-size", "16", "--evaluate-every", "50", "--seconds", "0.5"]
    words = ["bench", "--dataset", tiny_npz, "--devices", "cpu", *options, "--json"]
    record = json.loads(forked("from simplexlab.cli import run; run()", *words, folder=tmp_path))
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
    assert set(record["shares"]) == {"steps", "evaluation", "checkpoint", "waiting"}
    assert sum(record["shares"].values()) == pytest.approx(1)
    assert all(0 < record["shares"][what] < 1 for what in ("steps", "evaluation", "checkpoint"))
    assert record["shares_interval"] <= 50
    assert (record["transfer_bytes_per_step"], record["transfer_bytes_per_call"]) == (0, 0)
    assert record["line"].startswith(f"simplexlab {record['versions']['simplexlab']} bench: ce, mlp width 4, batch 16,")
    assert f"{rate:.4g} steps/s" in record["line"]
    assert "\n" not in record["line"]
    assert set(tmp_path.rglob("*")) == before


def test_a_clock_gives_each_moment_to_one_thing(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("simplexlab.training.benchmark.time.perf_counter", lambda: now[0])
    clock = _Clock()

    def pass_seconds(seconds):
        now[0] += seconds

    pass_seconds(1)
    with clock.doing("evaluation"):
        pass_seconds(2)
        with clock.doing("waiting"):
            pass_seconds(4)
        pass_seconds(8)
    with clock.doing("steps"):
        pass_seconds(16)
    assert clock.seconds == {"waiting": 5, "evaluation": 10, "steps": 16}
    clock.restart()
    with clock.doing("steps"):
        pass_seconds(1)
    assert clock.seconds == {"waiting": 0, "steps": 1}


class TestBesidePyTorch:
    """With a program in PyTorch's place; the real one is run by tests/benchmarks/training_step.py."""

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--loss", "ce-fix"], "compares the losses ce and sc, not ce-fix"),
            (["--encoder", "mlp"], "compares resnet-small and resnet18 in their own dimension"),
            (["--dimension", "8"], "in their own dimension"),
            (["--augment"], "does not do --augment"),
            (["--loss", "sc", "--positives", "2"], "does not do --positives"),
            (["--devices", "cpu:2"], "compares one device, not --devices cpu:2"),
        ],
    )
    def test_what_it_does_not_compare(self, simplexlab, words, told):
        code, _, err = simplexlab("bench", *words, "--compare-torch", "python-with-torch")
        assert (code, len(err.splitlines())) == (2, 1)
        assert told in err

    @pytest.fixture
    def sides(self, monkeypatch, tmp_path):
        """Three programs that answer as the sides do; PyTorch's compiler is missing on one thread."""
        program = tmp_path / "side.py"
        program.write_text(SIDE)
        programs = []

        def side(words, what):
            compiled = '"compiled": true' in words[-1]
            threads = 1 if '"threads": 1,' in words[-1] else 2
            seconds = 0.01 if "beside_torch" in " ".join(words) else 0.02 if compiled else 0.04
            fails = compiled and threads == 1
            programs.append(what)
            return real([sys.executable, str(program), str(seconds), str(int(fails))], what)

        from simplexlab.training import beside_torch

        real = beside_torch._side
        monkeypatch.setattr(beside_torch, "_side", side)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
        return programs

    def test_ratios_are_of_pairs_and_a_side_that_fails_is_told(self, sides):
        experiment = Experiment(devices="cpu").resolve()
        record = compare(experiment, (8, 8, 1), 10, "python-with-torch", rounds=3, block_seconds=0.02)
        named = {side["name"]: side for side in record["torch"]}
        assert list(named) == [
            f"PyTorch {kind}, {threads}" for threads in ("1 thread", "2 threads") for kind in ("eager", "compiled")
        ]
        assert named["PyTorch compiled, 1 thread"]["error"] == "CppCompileError: no g++"
        assert "ratio" not in named["PyTorch compiled, 1 thread"]
        assert record["best"] == "PyTorch compiled, 2 threads"
        for name, ratio in (("PyTorch compiled, 2 threads", 2), ("PyTorch eager, 1 thread", 4)):
            assert named[name]["ratio"] == pytest.approx([ratio] * 3)
            assert named[name]["steps_per_second"] == pytest.approx(record["simplexlab"]["steps_per_second"] / ratio)
        assert record["rounds"] == 3

    def test_a_disturbed_round_does_not_count(self, sides):
        experiment = Experiment(devices="cpu").resolve()
        with pytest.raises(RunError, match="other programs disturbed all"):
            compare(experiment, (8, 8, 1), 10, "p", rounds=1, block_seconds=0.02, disturbed=-1.0, patience=0.5)

    def test_sides_that_compute_another_loss_are_not_compared(self, sides, monkeypatch):
        monkeypatch.setitem(TOLERANCE, "float32", -1.0)
        with pytest.raises(RunError, match=r"the same loss of one batch: simplexlab 2\.5, PyTorch"):
            compare(Experiment(devices="cpu").resolve(), (8, 8, 1), 10, "p", rounds=1, block_seconds=0.02)

    @pytest.mark.parametrize(("python", "told"), [("/no/such/python", "No such file"), (sys.executable, "blocked")])
    def test_a_python_without_torch(self, sides, monkeypatch, python, told):
        from simplexlab.training import beside_torch

        side = beside_torch._side
        blocked = [python, "-c", "raise SystemExit('blocked')"]
        monkeypatch.setattr(
            beside_torch,
            "_side",
            lambda words, what: side(words, what) if "this Python" in what else sides_real(blocked, what),
        )
        with pytest.raises(UsageError, match=f"--compare-torch {python}: {told}"):
            compare(Experiment(devices="cpu").resolve(), (8, 8, 1), 10, python, rounds=1, block_seconds=0.02)


SIDE = """
import json, sys
seconds, fails = float(sys.argv[1]), sys.argv[2] == "1"
for line in sys.stdin:
    request = json.loads(line)
    if "batch" in request:
        answer = {"error": "CppCompileError: no g++"} if fails else 2.5
    elif "steps" in request:
        answer = request["steps"] * seconds
    else:
        answer = {"version": "1", "device": "CPU:0", "xla": False, "stages": [1, 1, 1]}
    print(json.dumps(answer), flush=True)
"""


@pytest.mark.parametrize("words", [["--seconds", 0], ["--seconds", "nan"], ["--until-fit"], ["--batch-size", 2]])
def test_wrong_usage(simplexlab, words):
    assert simplexlab("bench", *words)[0] == 2
