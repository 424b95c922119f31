"""What importing the package does, in processes of their own."""

import subprocess
import sys

import pytest

REGISTERED = """
import gc
import keras
names = [f"simplexlab>{name}" for name in
         ("SupervisedContrastive", "FastConvolution", "FusedBatchNormalization", "Momentum")]
print([keras.saving.get_registered_object(name) is not None for name in names], gc.get_freeze_count())
"""


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_package_alone_imports_nothing_heavy():
    heavy = python(
        "import simplexlab, sys; print([name for name in ('keras', 'numpy', 'asyncio') if name in sys.modules])"
    )
    assert heavy == "[]"


@pytest.mark.parametrize("first", ["import simplexlab", "import keras, simplexlab", "import simplexlab.losses"])
def test_its_keras_objects_are_registered_in_either_order_and_the_process_is_left_alone(first):
    assert python(first + "\n" + REGISTERED).splitlines()[-1] == "[True, True, True, True] 0"


def test_a_process_of_its_own_leaves_tensorflow_s_objects_out_of_the_search_for_cycles():
    code = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_freeze_count()))
sys.argv = ["simplexlab", "doctor", "--json"]
from simplexlab.cli import run
run()
"""
    assert int(python(code).splitlines()[-1]) > 100_000
