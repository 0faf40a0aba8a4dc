"""Files as the library ``onnx`` reads them: an independent reader of the format."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from faceren.graphs.graph import IR_VERSION, OPSET, Graph
from faceren.graphs.session import session_of

OUT = {"y": ("n", 2, "h", "w")}


@pytest.fixture
def graph():
    made = Graph("doubling", {"x": ("n", 1, "h", "w")})
    kernel = made.constant(np.array([2, -0.5], np.float16).reshape(2, 1, 1, 1), "kernel")
    y = made.sized(made.node("Conv", "x", kernel, kernel_shape=[1, 1]), OUT["y"])
    made.rename(made.node("LeakyRelu", y, alpha=0.25), "y")
    return made


def test_what_is_written_is_what_the_library_reads(graph):
    model = onnx.load_from_string(graph.to_bytes(OUT, {"licence": "CC0"}))
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (IR_VERSION, OPSET)
    assert [node.op_type for node in model.graph.node] == ["Cast", "Conv", "LeakyRelu", "Identity"]
    (kernel,) = model.graph.initializer
    assert kernel.data_type == TensorProto.FLOAT16
    assert numpy_helper.to_array(kernel).tolist() == [[[[2.0]]], [[[-0.5]]]]
    assert {p.key: p.value for p in model.metadata_props} == {"licence": "CC0"}
    assert onnx.helper.get_node_attr_value(model.graph.node[2], "alpha") == 0.25
    (known,) = model.graph.value_info
    assert (known.name, known.type.tensor_type.elem_type) == ("Conv_0", TensorProto.FLOAT)
    assert [s.dim_param or s.dim_value for s in known.type.tensor_type.shape.dim] == [*OUT["y"]]
    sides = model.graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in sides] == ["n", 1, "h", "w"]


@pytest.mark.parametrize("value", [0, 1, 127, 128, 2**31 - 1, -1, -(2**31)])
def test_whole_numbers_of_any_size_survive(value):
    graph = Graph("numbers", {"x": (1,)})
    graph.rename(graph.node("Flatten", "x", axis=value), "y")
    model = onnx.load_from_string(graph.to_bytes({"y": (1, 1)}))
    assert model.graph.node[0].attribute[0].i == value
    graph = Graph("numbers", {"x": (1,)})
    graph.node("Reshape", "x", graph.constant([value, 1]))
    model = onnx.load_from_string(graph.to_bytes({"y": (1, 1)}))
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == [value, 1]


def test_it_runs_in_single_precision(graph):
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 5)).astype(np.float32)
    (found,) = session_of(graph, OUT).run({"x": x})
    scaled = np.concatenate([2 * x, -0.5 * x], axis=1)
    assert (found == np.where(scaled < 0, 0.25 * scaled, scaled)).all()
