"""ONNX graphs in an order and with names of their own, as traces of equal models differ in these."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import onnx
from onnx import GraphProto, NodeProto

SAMPLES = "samples"
"""The name of the first axis, of any length, of input and output."""


def renamed(written: bytes, title: str) -> bytes:
    """The same model with the input ``input``, the output ``output``, and nothing of the process that traced it.

    Operators come in the order in which the output needs them, and weights in that of the operators.

    Raises:
        ValueError: there isn't one input and one output, with a row for each sample.
        onnx.checker.ValidationError: an operator isn't one of ONNX's.
    """
    model = onnx.load_model_from_string(written)
    graph = model.graph
    if (len(graph.input), len(graph.output)) != (1, 1):
        raise ValueError(f"it has {len(graph.input)} inputs and {len(graph.output)} outputs, and one is supported")
    names = {graph.input[0].name: "input", graph.output[0].name: "output"}
    _rename(graph, title, names, count())
    for value in (*graph.input, *graph.output):
        if not value.type.tensor_type.shape.dim:
            raise ValueError(f"its {value.name} has no row for each sample")
        value.type.tensor_type.shape.dim[0].dim_param = SAMPLES
    model.doc_string = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    found: bytes = model.SerializeToString(deterministic=True)
    return found


def _rename(graph: GraphProto, title: str, outer: dict[str, str], numbers: Iterator[int]) -> None:
    """Put the operators in order, and rename them, what they give, and constants.

    Args:
        outer: the new names of what is known outside of the graph, which ONNX doesn't allow to be given anew inside.
        numbers: those that aren't used yet.
    """
    names = dict(outer)
    nodes = _ordered(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    used = dict.fromkeys([name for node in nodes for name in _needed(node)] + [value.name for value in graph.output])
    kept = [constants[name] for name in used if name in constants]
    for value in graph.input:
        names.setdefault(value.name, f"given_{next(numbers)}")
    for tensor in kept:
        names.setdefault(tensor.name, f"constant_{next(numbers)}")
    for node in nodes:
        node.name, node.doc_string = f"{node.op_type}_{next(numbers)}", ""
        for place, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}.{place}" if name else "")
    for node in nodes:
        for inner in _subgraphs(node):
            _rename(inner, f"graph_{next(numbers)}", names, numbers)
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for named in (*graph.input, *graph.output, *kept):
        named.name = names[named.name]
    for value in (*graph.input, *graph.output):
        for axis in value.type.tensor_type.shape.dim:
            axis.ClearField("dim_param")  # axes of any length are numbered as they come up in the process
    tidy = GraphProto(name=title, node=nodes, initializer=kept, input=graph.input, output=graph.output)
    graph.CopyFrom(tidy)


def _ordered(graph: GraphProto) -> list[NodeProto]:
    """What the graph's outputs need, each operator after what it needs itself, whatever order they came in."""
    givers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    order: dict[int, None] = {}
    entered: set[int] = set()
    waiting = [givers[value.name] for value in reversed(graph.output) if value.name in givers]
    while waiting:  # and no recursion, as graphs are deep
        index = waiting[-1]
        if index in entered:
            order.setdefault(waiting.pop())
            continue
        entered.add(index)
        needed = [givers[name] for name in _needed(graph.node[index]) if name in givers]
        waiting += [before for before in reversed(needed) if before not in entered]
    return [graph.node[index] for index in order]


def _needed(node: NodeProto) -> list[str]:
    """The names of what goes into an operator, and of what its subgraphs take from outside, as they do by name."""
    needed = [name for name in node.input if name]
    for graph in _subgraphs(node):
        inside = {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
        inside |= {name for inner in graph.node for name in inner.output}
        taken = [name for inner in graph.node for name in _needed(inner)] + [value.name for value in graph.output]
        needed += [name for name in taken if name not in inside]
    return needed


def _subgraphs(node: NodeProto) -> list[GraphProto]:
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]
