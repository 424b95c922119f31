"""Find in anybody's model the layer that makes an output, and the tensors that could be a representation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

# What changes no ranking of the classes and no softmax of them: Keras's layers and operations of these names.
LOOKED_THROUGH = ("Softmax", "LogSoftmax", "Identity", "Cast")
LOGITS = (keras.activations.linear, keras.activations.softmax, keras.activations.log_softmax)


@dataclass(frozen=True)
class Output:
    """An output of a model.

    Attributes:
        names: of the layer that makes it and of the activations behind that layer.
        layer: the layer, or another operation of Keras.
        taken: symbolic tensor that a Dense layer takes, connected to the inputs of the model; None for other layers.
        made: symbolic tensor that is the output.
    """

    names: tuple[str, ...]
    layer: Any
    taken: Any
    made: Any


def graph_outputs(model: keras.Model) -> list[Output]:
    """The outputs of a functional or built Sequential model; none where a model has no graph of layers.

    An activation behind a layer (softmax, log-softmax, none) and a cast belong to that layer's output, and of a model
    within the model it is the layer that makes that model's output.
    """
    return [_trace(tensor) for tensor in _symbolic_outputs(model)]


def makes_logits(layer: Any) -> bool:
    """Whether a layer's activation is softmax or none, so that the products of its input and kernel are logits."""
    return layer.activation in LOGITS or _is_looked_through(layer.activation)


def layer_output(model: keras.Model, name: str) -> Any:
    """The output of the layer of that name in a functional or built Sequential model.

    Raises:
        ValueError: there is none, or it is used more than once.
    """
    nodes = [node for node in _nodes(model.outputs) if not _is_input(node)]
    found = [node for node in nodes if node.operation.name == name]
    if not found:
        names = ", ".join(sorted({node.operation.name for node in nodes}))
        raise ValueError(f"the model has no layer {name}; it has {names}")
    if len(found) > 1 or len(found[0].outputs) > 1:
        raise ValueError(f"layer {name} has several outputs in the model; name a layer that has one")
    return found[0].outputs[0]


def _trace(tensor: Any) -> Output:
    operation, index, position = tensor._keras_history
    sources = operation._inbound_nodes[index].input_tensors
    if isinstance(operation, keras.Model) and _symbolic_outputs(operation):
        found = _trace(operation.outputs[position])
        taken = None if found.taken is None else keras.Model(operation.inputs, found.taken)(sources)
        return Output((operation.name, *found.names), found.layer, taken, tensor)
    if _is_looked_through(operation):
        found = _trace(sources[0])
        return Output((*found.names, operation.name), found.layer, found.taken, tensor)
    taken = sources[0] if isinstance(operation, keras.layers.Dense) else None
    return Output((operation.name,), operation, taken, tensor)


def _symbolic_outputs(model: keras.Model) -> list[Any]:
    """Symbolic outputs of a functional or built Sequential model; a subclass may mean something else by the name."""
    outputs = getattr(model, "outputs", None)
    outputs = outputs if isinstance(outputs, list) else []
    return outputs if all(hasattr(tensor, "_keras_history") for tensor in outputs) else []


def _is_looked_through(operation: Any) -> bool:
    if isinstance(operation, keras.layers.Activation):
        return operation.activation in LOGITS
    kind = type(operation)
    return kind.__name__ in LOOKED_THROUGH and kind.__module__.split(".")[0] == "keras"


def _nodes(tensors: Any) -> Iterator[Any]:
    """Every call of a layer that some symbolic tensors come from."""
    seen, waiting = set(), list(tensors)
    while waiting:
        operation, index, _ = waiting.pop()._keras_history
        node = operation._inbound_nodes[index]
        if id(node) not in seen:
            seen.add(id(node))
            waiting.extend(node.input_tensors)
            yield node


def _is_input(node: Any) -> bool:
    return isinstance(node.operation, keras.layers.InputLayer)
