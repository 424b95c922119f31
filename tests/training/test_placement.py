"""On GPUs the data stay on the device and nothing waits for the host, as far as a machine without one can tell."""

import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("placement.py")
REPLICAS = {1: ["CPU:1"], 2: ["CPU:1", "CPU:2"]}

# What runs on the host though nobody put it there: none waits for a GPU, all are single numbers.
ON_THE_HOST = {
    "Less": "the loop's counter decides whether a step follows",
    "AddV2": "the loop's counter",
    "Identity": "the loop's counter",
}


@pytest.fixture(scope="module", params=[(1, "float32"), (2, "float32"), (1, "bfloat16"), (2, "bfloat16")], ids=str)
def found(request, forked):
    replicas, precision = request.param
    return REPLICAS[replicas], json.loads(forked(SCRIPT.read_text(), replicas, precision))


def test_images_and_labels_lie_and_are_gathered_on_the_device_of_each_replica(found):
    devices, cases = found
    for case in cases.values():
        assert case["resident"] == {"images": devices, "labels": devices}
        assert case["gathered"] == [f"{kind} on {device}" for kind in ("int64", "uint8") for device in devices]


def test_the_loop_sends_no_images_and_labels(found):
    _, cases = found
    for case in cases.values():
        # Seeds, step numbers and the optimizer's count of steps are sent, as int64.
        kinds = {(line.split()[0], line.split()[1].rsplit("/", 1)[-1].rstrip("_0123456789")) for line in case["sent"]}
        assert not {kind for kind in kinds if kind[0] == "uint8"}
        assert {name for kind, name in kinds if kind == "int64"} <= {"Cast", "stack", "Add"}


def test_the_bytes_that_bench_tells_are_those_that_are_sent(found):
    """Of a step: its number, and two numbers for each seed; TensorFlow sends them to every replica."""
    _, cases = found
    for case in cases.values():
        names = [
            line.split()[1].rsplit("/", 1)[-1].rstrip("_0123456789") for line in case["sent"] if "from CPU:0" in line
        ]
        of_a_step, of_a_call = case["transfers"]
        assert of_a_step == 8 * names.count("Cast") + 16 * names.count("stack") > 0
        assert of_a_call >= 2 * 4 + 1000 * 4


def test_nothing_but_the_counter_runs_on_the_host(found):
    _, cases = found
    assert "sc with augmentation" in cases
    for case in cases.values():
        for graph in ("step", "encode"):
            assert case[graph]["copies"] == []
            assert set(case[graph]["on_host"]) <= ON_THE_HOST.keys()
