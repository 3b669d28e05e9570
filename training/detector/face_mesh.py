"""MediaPipe's face mesh, which finds exact landmarks of a face whose place is known.

The network is ``face_landmark_with_attention.tflite`` (Apache-2.0) of the wheel ``mediapipe``
0.10.21::

    pip download --no-deps mediapipe==0.10.21
    unzip mediapipe-*.whl 'mediapipe/modules/face_landmark/*.tflite'

It runs in the interpreter of ai-edge-litert or of TensorFlow, whichever is installed.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError, ModelError, UsageError

Points = NDArray[np.float64]

MESH_POINTS = 468
"""Points of the mesh."""
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
"""The eyelids; the mean of their points is the landmark."""
NOSE, RIGHT_MOUTH, LEFT_MOUTH = 4, 61, 291
MARGIN = 1.5
"""Side of a crop over the long side of the face."""
PASSES = 2
"""The first pass crops around the box, each later one around the mesh of the one before."""


@dataclass(frozen=True)
class Crop:
    """A rotated square of a picture."""

    center: tuple[float, float]
    side: float
    angle: float
    """Radians, clockwise in the picture."""

    def matrix(self, size: int) -> Points:
        """The affine transform (2, 3) from the crop, ``size`` pixels wide, to the picture.

        Both count from the outer corner of the first pixel.
        """
        scale = self.side / size
        cosine, sine = scale * math.cos(self.angle), scale * math.sin(self.angle)
        linear = np.array([[cosine, -sine], [sine, cosine]])
        shift = np.array(self.center) - linear @ np.full(2, size / 2)
        return np.column_stack([linear, shift])


def crop_around(points: Points, right_eye: Points, left_eye: Points) -> Crop:
    """The crop around ``points`` (N, 2) in which the eyes lie on a horizontal line."""
    x, y = left_eye - right_eye
    angle = math.atan2(y, x)
    cosine, sine = math.cos(angle), math.sin(angle)
    axes = np.array([[cosine, sine], [-sine, cosine]])
    upright = points @ axes.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2 @ axes
    return Crop((float(x), float(y)), MARGIN * float((high - low).max()), angle)


def crop_of_box(box: Points, landmarks: Points) -> Crop:
    """The crop for a face of which ``box`` (x, y, width, height) and landmarks (5, 2) are known."""
    x, y, w, h = box.tolist()
    angle = math.atan2(*(landmarks[1] - landmarks[0])[::-1].tolist())
    return Crop((x + w / 2, y + h / 2), MARGIN * max(w, h), angle)


def crop_of_mesh(mesh: Points) -> Crop:
    """The crop for a face whose mesh (468, 2) is known."""
    return crop_around(mesh, mesh[RIGHT_EYE[0]], mesh[LEFT_EYE[0]])


def five_landmarks(mesh: Points) -> Points:
    """(5, 2): right eye, left eye, nose, right and left mouth corner of a mesh (468, 2)."""
    eyes = [mesh[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
    return np.stack([*eyes, mesh[NOSE], mesh[RIGHT_MOUTH], mesh[LEFT_MOUTH]])


class FaceMesh:
    """The network, on one thread."""

    def __init__(self, file: Path) -> None:
        """Load ``file``.

        Raises:
            InputError: the file cannot be read.
            ModelError: it is not MediaPipe's face mesh with attention.
            UsageError: neither ai-edge-litert nor TensorFlow is installed.
        """
        try:
            data = file.read_bytes()
        except OSError as e:
            raise InputError(f"{file}: {e.strerror}") from None
        runtime = _Runtime.installed()
        try:
            self._base, self._regions, self._heads = _split(data, runtime)
            self._size = int(self._base.shape[1])
        except Exception as e:  # Other files fail anywhere in the parser or the interpreter.
            raise ModelError(f"{file}: not MediaPipe's face mesh with attention ({e!r})") from e

    def landmarks(self, frame: NDArray[np.uint8], box: Points, landmarks: Points) -> Points:
        """Exact landmarks (5, 2), in pixels of ``frame`` (H, W, 3) BGR, of the face in ``box`` (x,
        y, width, height) whose landmarks are about ``landmarks`` (5, 2)."""
        crop = crop_of_box(box, landmarks)
        for _ in range(PASSES):
            mesh = self.mesh(frame, crop)
            crop = crop_of_mesh(mesh)
        return five_landmarks(mesh)

    def mesh(self, frame: NDArray[np.uint8], crop: Crop) -> Points:
        """The mesh (468, 2), in pixels of ``frame`` (H, W, 3) BGR, of the face in ``crop``."""
        matrix = crop.matrix(self._size)
        # The warp counts from the centre of the first pixel.
        centers = matrix.copy()
        centers[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
        pixels: Any = cv2.warpAffine(
            frame, centers, (self._size, self._size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return self._mesh_of(pixels) @ matrix[:, :2].T + matrix[:, 2]

    def _mesh_of(self, pixels: NDArray[np.uint8]) -> Points:
        """The mesh (468, 2) in pixels of a crop (192, 192, 3) BGR."""
        rgb = pixels[None, :, :, ::-1].astype(np.float32) / np.float32(255)
        mesh, features, *scaled = self._base(rgb)
        points = mesh.reshape(MESH_POINTS, 3)[:, :2].astype(np.float64)
        matrices = [
            region.matrix(landmarks[0])
            for region, landmarks in zip(self._regions, scaled, strict=True)
        ]
        crops = [
            sample_region(features[0], m, region.size)[None]
            for m, region in zip(matrices, self._regions, strict=True)
        ]
        outputs = self._heads(*crops, *(m[None].astype(np.float32) for m in matrices))
        count = len(self._regions)
        for region, found, matrix in zip(
            self._regions, outputs[:count], outputs[count:], strict=True
        ):
            points[list(region.points)] = found[0] @ matrix[0, :2, :2].T + matrix[0, :2, 3]
        return points


@dataclass(frozen=True)
class Region:
    """A part of the face that has a network of its own: the lips, or an eye."""

    points: tuple[int, ...]
    """Indices of its points in the mesh."""
    left: int
    right: int
    """Indices of the points that are level in its crop."""
    scale: tuple[float, float]
    """Sides of the crop over those of the points' bounding box."""
    size: int
    """Side of the crop in cells."""

    def matrix(self, landmarks: NDArray[Any]) -> Points:
        """The transform (4, 4) from cells of the crop to cells of the feature map, in which
        ``landmarks`` (468, 3) are given: MediaPipe's Landmarks2TransformMatrix."""
        x, y = (landmarks[self.right] - landmarks[self.left])[:2]
        angle = math.atan2(y, x)
        cosine, sine = math.cos(angle), math.sin(angle)
        axes = np.array([[cosine, sine], [-sine, cosine]])
        upright = landmarks[list(self.points), :2] @ axes.T
        low, high = upright.min(axis=0), upright.max(axis=0)
        out = np.eye(4)
        out[:2, :2] = axes.T * ((high - low) * self.scale / self.size)
        out[:2, 3] = (low + high) / 2 @ axes - out[:2, :2] @ np.full(2, self.size / 2)
        return out


def sample_region(features: NDArray[np.float32], matrix: Points, size: int) -> Any:
    """The crop (size, size, C) of ``features`` (H, W, C) by bilinear interpolation, 0 outside:
    MediaPipe's TransformTensorBilinear."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    x = columns * matrix[0, 0] + rows * matrix[0, 1] + matrix[0, 3] - 0.5
    y = columns * matrix[1, 0] + rows * matrix[1, 1] + matrix[1, 3] - 0.5
    height, width, _ = features.shape
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    left, top = (np.floor(v).clip(0, most - 1).astype(int) for v, most in ((x, width), (y, height)))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - u) * features[top, left] + u * features[top, right]
    lower = (1 - u) * features[bottom, left] + u * features[bottom, right]
    return np.where(inside[..., None], (1 - v) * upper + v * lower, 0).astype(np.float32)


@dataclass(frozen=True)
class _Runtime:
    interpreter: Any
    """Class of the interpreter."""
    schema: Any
    """Module of the file format."""

    @classmethod
    def installed(cls) -> _Runtime:
        for package in ("ai_edge_litert", "tensorflow.lite.python"):
            try:
                return cls(
                    importlib.import_module(f"{package}.interpreter").Interpreter,
                    importlib.import_module(f"{package}.schema_py_generated"),
                )
            except ImportError:
                continue
        raise UsageError(
            "the face mesh needs ai-edge-litert or tensorflow; pip install ai-edge-litert",
            code="missing_package",
        )


class _Part:
    """A part of the network between tensors that are given by number."""

    def __init__(
        self, data: bytes, runtime: _Runtime, inputs: Sequence[int], outputs: Sequence[int]
    ) -> None:
        import flatbuffers  # type: ignore[import-untyped]

        model = runtime.schema.ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        needed, operators = set(outputs), []
        for operator in reversed(graph.operators):
            if needed.intersection(operator.outputs.tolist()) - set(inputs):
                operators.append(operator)
                needed.update(operator.inputs.tolist())
        graph.operators = operators[::-1]
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model.signatureDefs = None
        builder = flatbuffers.Builder(len(data))
        builder.Finish(model.Pack(builder), b"TFL3")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow announces ai-edge-litert.
            self._network = runtime.interpreter(
                model_content=bytes(builder.Output()), num_threads=1
            )
        self._network.allocate_tensors()
        self._inputs = [d["index"] for d in self._network.get_input_details()]
        self._outputs = [d["index"] for d in self._network.get_output_details()]
        self.shape = self._network.get_input_details()[0]["shape"]

    def __call__(self, *values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        for index, value in zip(self._inputs, values, strict=True):
            self._network.set_tensor(index, value)
        self._network.invoke()
        return [self._network.get_tensor(index) for index in self._outputs]


def _split(data: bytes, runtime: _Runtime) -> tuple[_Part, list[Region], _Part]:
    """The network before and after the operators that MediaPipe alone has, and its regions.

    The first part computes the mesh, the feature map and, for every region, the mesh in cells of
    the feature map. The second one takes the crops of all regions and then their matrices, and
    computes the points of all regions and then the matrices from those to pixels.
    """
    from flatbuffers import flexbuffers

    model = runtime.schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    custom: dict[bytes, list[Any]] = {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].customCode
        custom.setdefault(code, []).append(operator)
    regions = []
    for operator in custom[b"Landmarks2TransformMatrix"]:
        options = flexbuffers.Loads(bytes(operator.customOptions))
        regions.append(Region(
            tuple(options["subset_idxs"]), options["left_rotation_idx"],
            options["right_rotation_idx"], (options["scale_x"], options["scale_y"]),
            options["output_width"],
        ))  # fmt: skip
    scaled = [int(op.inputs[0]) for op in custom[b"Landmarks2TransformMatrix"]]
    matrices = [int(op.outputs[0]) for op in custom[b"Landmarks2TransformMatrix"]]
    crops = [int(op.outputs[0]) for op in custom[b"TransformTensorBilinear"]]
    features = int(custom[b"TransformTensorBilinear"][0].inputs[0])
    # The irises are of no use here.
    counts = {len(region.points) for region in regions}
    points = [
        op.inputs.tolist() for op in custom[b"TransformLandmarks"]
        if graph.tensors[op.inputs[0]].shape[1] in counts
    ]  # fmt: skip
    (mesh,) = (i for i in graph.outputs if np.prod(graph.tensors[i].shape) == 3 * MESH_POINTS)
    base = _Part(data, runtime, graph.inputs.tolist(), [int(mesh), features, *scaled])
    found, to_pixels = zip(*points, strict=True)
    return base, regions, _Part(data, runtime, [*crops, *matrices], [*found, *to_pixels])
