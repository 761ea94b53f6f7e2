"""The network of the page as ONNX, for a runtime that knows neither Python nor torch; data/page/make_page.py runs this.

It needs the packages onnx and onnxscript, which the page itself, once made, doesn't.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from ddpm_teach.model import Model

INPUTS, OUTPUT = ("x", "t", "c"), "v"


def export_onnx(model: Model, weights: Path) -> bytes:
    """The network of a model as an ONNX graph: x (b, c, h, w), t (b) in 1…T, c (b, d) → v (b, c, h, w), for every b.

    The weights stay where they are: the graph names `weights`, the file of `save_weights` that the model came from,
    and the place of each tensor in it, and computes in float32 with its half-precision numbers. A runtime is given
    both files.

    Raises:
        ModuleNotFoundError: without onnx and onnxscript.
    """
    import onnx

    batch = torch.export.Dim("batch", min=1, max=1024)
    example = torch.zeros(2, *model.image_shape), torch.ones(2, dtype=torch.long), torch.zeros(2, model.context_dim)
    program = torch.onnx.export(
        model.net.eval(),
        example,
        input_names=INPUTS,
        output_names=[OUTPUT],
        dynamic_shapes=[{0: batch}] * 3,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    graph = (proto := program.model_proto).graph
    stored, casts = _stored(weights), []
    for tensor in graph.initializer:
        values, place = stored.get(tensor.name, (None, {}))
        if values is None or not np.array_equal(onnx.numpy_helper.to_array(tensor), values):
            continue  # the table of times, and what the exporter has reshaped, or merged with what follows
        name, tensor.name = tensor.name, f"{tensor.name}.half"
        tensor.ClearField("raw_data")
        tensor.data_type, tensor.data_location = onnx.TensorProto.FLOAT16, onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    for node in nodes:  # where in our source it came from: for nobody here, and half of the file
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for field in ("node", "value_info", "metadata_props"):
        graph.ClearField(field)
    graph.node.extend([*casts, *nodes])
    return proto.SerializeToString(deterministic=True)


def _stored(weights: Path) -> dict[str, tuple[np.ndarray, dict]]:
    """The half-precision tensors of a safetensors file, and where each is, as ONNX says it."""
    data = weights.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    stored = {}
    for name, entry in json.loads(data[8:start]).items():
        if entry.get("dtype") == "F16":
            first, last = entry["data_offsets"]
            values = np.frombuffer(data[start + first : start + last], "<f2").reshape(entry["shape"])
            stored[name] = values, {"location": weights.name, "offset": start + first, "length": last - first}
    return stored
