"""Networks as others publish them, made here: ONNX or OpenVINO files that say nothing of this project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: (height, width) of the crops that they take; features are the colours of 4 x 4 blocks.
SIZE_HW = (16, 8)
DIM = 3 * (SIZE_HW[0] // 4) * (SIZE_HW[1] // 4)


def write_onnx(
    path: Path,
    *,
    taken: Sequence[int | str] = ("batch", 3, *SIZE_HW),
    only_one: bool = False,
    inputs: int = 1,
    outputs: int = 1,
    flat: bool = True,
    element: str = "FLOAT",
) -> Path:
    """A network of block means.

    Args:
        taken: shape of its input; a text is a length that is open.
        only_one: have one crop written into the network, so that it cannot be made to take several.
        inputs, outputs: how many; those after the first do nothing.
        flat: return (N, D), not a picture.
        element: type of the input.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = getattr(TensorProto, element)
    pool = helper.make_node("AveragePool", ["x"], ["blocks"], kernel_shape=[4, 4], strides=[4, 4])
    shape = numpy_helper.from_array(np.array([1, DIM], np.int64), "shape")
    end = helper.make_node("Flatten", ["blocks"], ["y"], axis=1)
    if only_one:
        end = helper.make_node("Reshape", ["blocks", "shape"], ["y"])
    nodes = [pool, *([end] if flat else [])]
    pooled = element == "FLOAT" and list(taken[1:2]) == [3] and len(taken) == 4
    if not pooled:
        nodes = [helper.make_node("Identity", ["x"], ["y"])]
    names = ["y" if flat or not pooled else "blocks", "second"][:outputs]
    if outputs > 1:
        nodes.append(helper.make_node("Identity", ["x"], ["second"]))
    extra = [helper.make_tensor_value_info(f"in{i}", TensorProto.FLOAT, [1]) for i in range(inputs - 1)]
    nodes += [helper.make_node("Identity", [info.name], [f"unused_{info.name}"]) for info in extra]
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", kind, list(taken)), *extra],
        [helper.make_tensor_value_info(name, kind, None) for name in names],
        [shape] if only_one else [],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def write_xml(path: Path, **options: Any) -> Path:
    """The same as an OpenVINO network for one crop, as Intel publishes them."""
    import openvino

    onnx = write_onnx(path.with_suffix(".onnx"), taken=(1, 3, *SIZE_HW), **options)
    openvino.save_model(openvino.Core().read_model(onnx), path)
    onnx.unlink()
    return path
