"""How each peer is called, as its documentation shows. Runs inside the peer's environment, so only
the standard library is imported at the top.

Boxes are x, y, width, height in pixels; emotions are indices in the order of FER-2013, -1 for none.
"""

from __future__ import annotations

from typing import Any

Found = list[tuple[list[float], int]]
FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIDE = 48


class Adapter:
    """Photos and videos of a peer with ``analyze(frame)``, the faces of a BGR frame; they are read
    with OpenCV. Peers that know emotions also have ``classify(faces, head)``, those of gray faces,
    uint8 (N, 48, 48)."""

    analyze: Any

    def photo(self, path: str) -> Found:
        """The faces of a file."""
        import cv2

        found: Found = self.analyze(cv2.imread(path))
        return found

    def video(self, path: str) -> tuple[int, int]:
        """Frames and faces of a clip."""
        import cv2

        capture = cv2.VideoCapture(path)
        frames = faces = 0
        while True:
            ok, frame = capture.read()
            if not ok:
                return frames, faces
            frames += 1
            faces += len(self.analyze(frame))


class Fastfer(Adapter):
    """fastfer with its defaults."""

    changes: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, options: dict[str, Any]) -> None:
        import fastfer

        self.engine = fastfer.Engine()

    def photo(self, path: str) -> Found:
        return self._faces(self.engine.analyze(path))

    def analyze(self, frame: Any) -> Found:
        return self._faces(self.engine.analyze(frame))

    def video(self, path: str) -> tuple[int, int]:
        import fastfer

        frames = faces = 0
        for result in fastfer.stream(path, engine=self.engine, **self.changes):
            frames += 1
            faces += len(result)
        return frames, faces

    def classify(self, faces: Any, head: str) -> list[int]:
        import numpy as np

        import fastfer

        engine: Any = fastfer.Engine
        batch = faces[..., None].astype(np.float32) / 255
        found = engine(head=head).reader.classify(batch)
        return [int(i) for i in found.probabilities.argmax(axis=1)]

    @staticmethod
    def _faces(result: Any) -> Found:
        return [
            (list(map(float, face.box)), FER2013.index(face.emotion) if face.emotion else -1)
            for face in result
        ]


class FastferEveryFrame(Fastfer):
    """fastfer that detects and classifies in every frame."""

    changes = {"detect_every": 1, "classify_every": 1}  # noqa: RUF012


class FerTflite(Adapter):
    """``fer`` with its default network and Haar."""

    tflite = True

    def __init__(self, options: dict[str, Any]) -> None:
        from fer.fer import FER

        self.detector = FER(use_tflite=self.tflite)

    def analyze(self, frame: Any) -> Found:
        found: Found = []
        for face in self.detector.detect_emotions(frame):
            scores = face["emotions"]
            best = FER2013.index(max(scores, key=scores.get))
            found.append(([float(v) for v in face["box"]], best))
        return found

    def classify(self, faces: Any, head: str) -> list[int]:
        import cv2
        import numpy as np

        found: list[int] = []
        for i in range(0, len(faces), 64):
            # The steps of detect_emotions for a face.
            tiles = np.stack([cv2.resize(face, (64, 64)) for face in faces[i : i + 64]])
            batch = (tiles.astype(np.float32) / 255 - 0.5) * 2
            if not self.tflite:
                batch = batch[..., None]
            scores = np.asarray(self.detector._classify_emotions(batch))
            found += [int(k) for k in scores.argmax(axis=1)]
        return found


class FerKeras(FerTflite):
    """``fer`` with its Keras network."""

    tflite = False


class Tutorial(Adapter):
    """Haar and a seven-layer CNN called for each face, as many tutorials write it."""

    def __init__(self, options: dict[str, Any]) -> None:
        import cv2
        import keras

        opencv: Any = cv2  # Of version 4, which has the cascades.
        cascade = opencv.data.haarcascades + "haarcascade_frontalface_default.xml"
        self.cascade = opencv.CascadeClassifier(cascade)
        layers = keras.layers
        self.model = keras.Sequential([keras.Input((SIDE, SIDE, 1))])
        for filters in (32, 64, 128):
            for _ in range(2):
                self.model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
                self.model.add(layers.BatchNormalization())
                self.model.add(layers.ReLU())
            self.model.add(layers.MaxPooling2D())
        self.model.add(layers.Flatten())
        self.model.add(layers.Dense(512, activation="relu"))
        self.model.add(layers.Dense(7, activation="softmax"))

    def analyze(self, frame: Any) -> Found:
        import cv2

        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        found: Found = []
        for x, y, w, h in self.cascade.detectMultiScale(gray, 1.3, 5):
            face = cv2.resize(gray[y : y + h, x : x + w], (SIDE, SIDE)) / 255.0
            scores = self.model.predict(face[None, :, :, None], verbose=0)
            found.append(([float(v) for v in (x, y, w, h)], int(scores.argmax())))
        return found


class YunetLoop(Adapter):
    """YuNet of OpenCV, a crop with OpenCV, and fastfer's network in ONNX Runtime for each face."""

    def __init__(self, options: dict[str, Any]) -> None:
        import cv2
        import onnxruntime

        self.detector: Any = cv2.FaceDetectorYN.create(
            options["yunet"], "", (320, 320), 0.7, 0.3, 5000
        )
        self.session = onnxruntime.InferenceSession(
            options["network"], providers=["CPUExecutionProvider"]
        )

    def analyze(self, frame: Any) -> Found:
        import cv2
        import numpy as np

        height, width = frame.shape[:2]
        scale = min(1.0, 640 / max(height, width))
        small = cv2.resize(frame, (round(width * scale), round(height * scale)))
        self.detector.setInputSize((small.shape[1], small.shape[0]))
        faces = self.detector.detect(small)[1]
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        found: Found = []
        for row in () if faces is None else faces:
            x, y, w, h = row[:4] / scale
            side = max(w, h)
            left, top = max(0, int(x + (w - side) / 2)), max(0, int(y + (h - side) / 2))
            crop = gray[top : top + int(side), left : left + int(side)]
            if crop.size == 0:
                continue
            tile = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            batch = (tile.astype(np.float32) / 255)[None, :, :, None]
            (scores,) = self.session.run(["probabilities"], {"faces": batch})
            found.append(([float(v) for v in (x, y, w, h)], int(scores.argmax())))
        return found


class MediaPipe(Adapter):
    """MediaPipe's face detection for the full range of distances."""

    def __init__(self, options: dict[str, Any]) -> None:
        import mediapipe

        self.detector = mediapipe.solutions.face_detection.FaceDetection(
            model_selection=1, min_detection_confidence=0.5
        )

    def analyze(self, frame: Any) -> Found:
        import cv2

        height, width = frame.shape[:2]
        result = self.detector.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        found: Found = []
        for face in result.detections or ():
            box = face.location_data.relative_bounding_box
            corner = [box.xmin * width, box.ymin * height]
            found.append(([*corner, box.width * width, box.height * height], -1))
        return found
