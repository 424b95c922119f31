"""What of the training loop would run where on GPUs, seen without one: CPU:0 is the host, CPU:1 and CPU:2 are "GPUs".

Run as a script by `test_placement.py`: TensorFlow fixes its logical devices at its first operation. Prints one JSON
object: case → findings.
"""

import json
import sys
from collections.abc import Iterator
from functools import cache

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import kernels

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.models import convolution, encoders
from simplexlab.training.benchmark import transfers
from simplexlab.training.cluster import Cluster
from simplexlab.training.learner import build_learner
from simplexlab.training.loop import Loop
from simplexlab.training.runtime import Runtime, keras_precision, mirrored_strategy

CALLS = {"While": ("cond", "body"), "StatefulPartitionedCall": ("f",), "PartitionedCall": ("f",)}
DEVICES = {1: ("CPU:1",), 2: ("CPU:1", "CPU:2")}
LARGE = 64  # numbers; what is larger is data


def make_loop(loss: str, precision: str, augment: bool, devices: tuple[str, ...]) -> Loop:
    """A loop over random images on these devices."""
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (90, 8, 8, 3), np.uint8), (np.arange(90) % 3).astype(np.int32)
    dataset = Dataset(
        name="random",
        x_train=images[:60],
        y_train=labels[:60],
        x_test=images[60:],
        y_test=labels[60:],
        class_names=("a", "b", "c"),
    )
    experiment = Experiment(
        dataset="random.npz", loss=loss, precision=precision, augment=augment, encoder="resnet-small", width=4
    ).resolve()
    strategy = tf.distribute.OneDeviceStrategy(devices[0]) if len(devices) == 1 else mirrored_strategy(devices)
    with keras_precision(precision), strategy.scope():
        learner = build_learner(experiment, dataset)
    return Loop(experiment, dataset, dataset.y_train, learner, Runtime(strategy, False, devices, Cluster()))


def operations(graph) -> Iterator[tf.Operation]:
    """The operations that the outputs and state changes of a graph need, with those of its loops and calls."""
    needed = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    seen = set()
    while needed:
        operation = needed.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        needed += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
        yield operation
        for name in CALLS.get(operation.type, ()):
            yield from operations(graph._get_function(operation.get_attr(name).name).graph)


@cache  # a look-up takes a millisecond, and a graph has thousands of operations of some forty kinds
def kernels_beside_the_cpu(kind: str) -> list:
    """The registered kernels of a kind of operation that a GPU may take."""
    registered = kernels.get_registered_kernels_for_op(kind).kernel
    return [kernel for kernel in registered if kernel.device_type in ("GPU", "DEFAULT")]


def gpu_kernel(operation: tf.Operation):
    """The registered kernel that this operation would have on a GPU, or None."""
    for kernel in kernels_beside_the_cpu(operation.type):
        if all(
            _types(operation.get_attr(rule.name)) <= set(rule.allowed_values.list.type) for rule in kernel.constraint
        ):
            return kernel
    return None


def _types(value) -> set[int]:
    return {tf.as_dtype(kind).as_datatype_enum for kind in (value if isinstance(value, list) else [value])}


def memory(operation: tf.Operation) -> tuple[list[bool], list[bool]]:
    """Of each input and each output, whether it would be in the host's memory."""
    kernel, sides = gpu_kernel(operation), []
    op_def = operation.op_def
    for arguments, tensors in ((op_def.input_arg, operation.inputs), (op_def.output_arg, operation.outputs)):
        if operation.type in (*CALLS, "Placeholder"):  # functions take and return int32 in the host's memory
            sides.append([tensor.dtype in (tf.int32, tf.resource) for tensor in tensors])
        elif kernel is None or "CPU:0" in operation.device:
            sides.append([True] * len(tensors))
        else:
            names = [argument.name for argument in arguments for _ in range(_length(operation, argument))]
            sides.append([name in kernel.host_memory_arg for name in names])
    return sides[0], sides[1]


def _length(operation: tf.Operation, argument) -> int:
    if argument.number_attr:
        return operation.get_attr(argument.number_attr)
    return len(operation.get_attr(argument.type_list_attr)) if argument.type_list_attr else 1


def constants(found: list[tf.Operation]) -> set[tuple]:
    """The operations that TensorFlow computes before it runs the graph: of constants and of known shapes."""
    known: dict[tuple, bool] = {}

    def is_constant(operation: tf.Operation) -> bool:
        key = (id(operation.graph), operation.name)
        if key not in known:
            known[key] = False
            shapes = operation.type in ("Shape", "ShapeN", "Size", "Rank")
            shapes = shapes and all(tensor.shape.is_fully_defined() for tensor in operation.inputs)
            folds = bool(operation.inputs) and not operation.op_def.is_stateful and operation.type not in CALLS
            folds = folds and all(is_constant(tensor.op) for tensor in operation.inputs)
            known[key] = operation.type == "Const" or shapes or folds
        return known[key]

    return {(id(operation.graph), operation.name) for operation in found if is_constant(operation)}


def host_work(graph) -> dict[str, list[str]]:
    """Operations that would run on the host, and the tensors that would be copied from a GPU to the host for one."""
    found = list(operations(graph))
    folded = constants(found)
    memories = {(id(operation.graph), operation.name): memory(operation) for operation in found}
    on_host, copies = set(), set()
    for operation in found:
        inputs, outputs = memories[id(operation.graph), operation.name]
        if (id(operation.graph), operation.name) in folded or operation.type in ("Placeholder", "NoOp"):
            continue
        for tensor, taken_from_host in zip(operation.inputs, inputs, strict=True):
            made_on_host = memories[id(operation.graph), tensor.op.name][1][tensor.value_index]
            is_data = tensor.dtype != tf.resource and (id(operation.graph), tensor.op.name) not in folded
            if taken_from_host and not made_on_host and is_data:
                copies.add(f"{tensor.name} of {tensor.op.type} for {operation.type}")
        data = [tensor for tensor in operation.outputs if tensor.dtype != tf.resource]
        wanted = "CPU:0" in operation.device or operation.type in CALLS
        if not wanted and (gpu_kernel(operation) is None or (data and all(outputs))):
            on_host.add(operation.type)
        for tensor in data:
            if data and all(outputs) and (tensor.shape.num_elements() or 0) > LARGE:
                copies.add(f"{tensor.name}, {tensor.shape}, made on the host by {operation.type}")
    return {"on_host": sorted(on_host), "copies": sorted(copies)}


def executed(loop: Loop) -> dict[str, list[str]]:
    """Of two steps as they are executed: where images and labels are gathered, what one device sends to another."""
    bounds = tf.constant(0), tf.constant(2)
    context.enable_run_metadata()
    loop._run_steps(*bounds)
    metadata = context.export_run_metadata()
    context.disable_run_metadata()
    gathered, sent = [], []
    for partition in (graph for function in metadata.function_graphs for graph in function.partition_graphs):
        for node in [*partition.node, *(node for inner in partition.library.function for node in inner.node_def)]:
            if node.op == "ResourceGather":
                gathered.append(f"{tf.as_dtype(node.attr['dtype'].type).name} on {node.device[-5:]}")
            if node.op in ("_Send", "_HostSend"):
                kind = tf.as_dtype(node.attr["T"].type).name
                way = [node.attr[f"{side}_device"].s.decode()[-5:] for side in ("send", "recv")]
                sent.append(f"{kind} {node.attr['tensor_name'].s.decode()} from {way[0]} to {way[1]}")
    return {"gathered": sorted(gathered), "sent": sent}


def resident(loop: Loop) -> dict[str, list[str]]:
    """The devices of each replica's images and labels."""
    return {name: [copy.device[-5:] for copy in getattr(loop, name)] for name in ("images", "labels")}


def main() -> None:
    """Print the findings of every case."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    convolution.faster_convolution = lambda *_: None  # as on GPUs
    encoders.STAGES["resnet-small"] = (0, 1)  # one block, at half the size, has all kinds of layers of longer networks
    replicas, precision = int(sys.argv[1]), sys.argv[2]
    findings = {}
    cases = [("sc", True)]  # the loss that has all that ce has in its step, and couples the replicas
    if precision == "float32" and replicas == 1:
        cases += [("ce", False)]
    for loss, augment in cases:
        loop = make_loop(loss, precision, augment, DEVICES[replicas])
        integers = tf.TensorSpec((), tf.int32)
        step = loop._run_steps.get_concrete_function(integers, integers).graph
        encode = loop._encode.get_concrete_function(integers).graph
        findings[f"{loss} {'with' if augment else 'without'} augmentation"] = {
            "step": host_work(step),
            "encode": host_work(encode),
            "resident": resident(loop),
            "transfers": transfers(loop),
            **executed(loop),
        }
    print(json.dumps(findings))


if __name__ == "__main__":
    main()
