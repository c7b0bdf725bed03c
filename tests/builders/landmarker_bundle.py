"""A face_landmarker.task assembled from the models in mediapipe's wheel.

Google's own file cannot be had without a network. A bundle is a zip of the two models; the one of
the landmarks must give 478 x 3 numbers and the score, so the seven outputs of the wheel's refined
mesh are joined to one by two operations appended to its graph.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import mediapipe
import numpy as np
from mediapipe.tasks.metadata import schema_py_generated as tflite

MODULES = Path(mediapipe.__file__).parent / "modules"
MESH, LIPS, EYES, IRIS = 3 * 468, 2 * 80, 2 * 71, 2 * 5
LIP_POINTS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
"""The mesh points that the first 40 refined lip points stand for."""
EYE_CORNERS = (33, 263)


def write_bundle(path: Path) -> Path:
    """Write a task file that FaceLandmarker loads."""
    detector = MODULES / "face_detection" / "face_detection_short_range.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:
        bundle.write(detector, "face_detector.tflite")
        bundle.writestr("face_landmarks_detector.tflite", joined_mesh())
    return path


def joined_mesh() -> bytes:
    """The refined mesh with one output of landmarks: x, y, z of 478 points."""
    content = (MODULES / "face_landmark" / "face_landmark_with_attention.tflite").read_bytes()
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    *parts, score = list(graph.outputs)
    n = MESH + LIPS + 2 * EYES + 2 * IRIS
    everything = add_tensor(model, (1, 1, 1, n))
    join = tflite.ConcatenationOptionsT()
    join.axis = 3
    add_operator(model, "CONCATENATION", "ConcatenationOptions", join, parts, everything)
    landmarks = add_tensor(model, (1, 1, 1, 3 * 478))
    pick = tflite.GatherOptionsT()
    pick.axis = 3
    chosen = [everything, add_tensor(model, (3 * 478,), order())]
    add_operator(model, "GATHER", "GatherOptions", pick, chosen, landmarks)
    graph.outputs = [landmarks, score]
    builder = flatbuffers.Builder(1 << 22)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def order() -> np.ndarray:
    """Where each landmark's x, y, z stands in the joined outputs; an iris has its eye's depth."""
    places = np.arange(3 * 478, dtype=np.int32).reshape(478, 3)
    for k, point in enumerate(LIP_POINTS):
        places[point, :2] = MESH + 2 * k, MESH + 2 * k + 1
    iris = MESH + LIPS + 2 * EYES
    for side, corner in enumerate(EYE_CORNERS):
        for k in range(5):
            at = iris + side * IRIS + 2 * k
            places[468 + 5 * side + k] = at, at + 1, 3 * corner + 2
    return places.reshape(-1)


def add_tensor(model: Any, shape: tuple[int, ...], values: np.ndarray | None = None) -> int:
    """Append a tensor, of whole numbers where it has values; its place."""
    buffer, tensor = tflite.BufferT(), tflite.TensorT()
    if values is not None:
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    kinds = tflite.TensorType
    tensor.shape, tensor.type = (
        np.array(shape, np.int32),
        kinds.FLOAT32 if values is None else kinds.INT32,
    )
    tensor.buffer, tensor.name = len(model.buffers) - 1, f"joined_{len(model.buffers)}".encode()
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def add_operator(
    model: Any, kind: str, options_kind: str, options: Any, inputs: list[int], output: int
) -> None:
    """Append an operation."""
    code, operator = tflite.OperatorCodeT(), tflite.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(tflite.BuiltinOperator, kind)
    code.version = 1
    model.operatorCodes.append(code)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = inputs, [output]
    operator.builtinOptionsType = getattr(tflite.BuiltinOptions, options_kind)
    operator.builtinOptions = options
    model.subgraphs[0].operators.append(operator)
