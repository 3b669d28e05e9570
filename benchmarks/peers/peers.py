"""The programs that are compared, and those of which published figures are quoted."""

from __future__ import annotations

from dataclasses import dataclass

ENVIRONMENTS: dict[str, list[list[str]]] = {
    "fastfer": [["{fastfer}"]],
    # fer also requires facenet-pytorch, and so PyTorch, for MTCNN, which is not used here.
    "fer": [
        ["--no-deps", "fer==25.10.3"],
        [
            "tensorflow",
            "opencv-contrib-python<5",
            "setuptools<81",
            "pandas",
            "matplotlib",
            "requests",
            "tqdm>=4.62.1",
            "moviepy<2",
            "ffmpeg-python",
            "Pillow",
        ],
    ],
    "tutorial": [["tensorflow", "opencv-python-headless<5"]],
    "mediapipe": [["mediapipe==0.10.21"]],  # later wheels contain no networks
    "yunet-loop": [["opencv-python-headless", "onnxruntime"]],
}
"""Arguments of ``pip install`` by environment, one list for each call; ``{fastfer}`` is this
repository, or the wheel that ``--wheel`` names."""


@dataclass(frozen=True)
class Peer:
    """A program, or one way to call it."""

    name: str
    title: str
    environment: str
    adapter: str
    """Class in ``adapters``."""
    emotions: bool = True
    """Whether it classifies expressions."""
    yunet: bool = False
    """Whether it needs YuNet's file."""
    trained: bool = True
    """Whether its network has weights, without which its accuracy means nothing."""


PEERS = (
    Peer("fastfer", "fastfer, defaults", "fastfer", "Fastfer"),
    Peer("fastfer-every", "fastfer, every frame in full", "fastfer", "FastferEveryFrame"),
    Peer("fer-tflite", "`fer` 25.10, TFLite", "fer", "FerTflite"),
    Peer("fer-keras", "`fer` 25.10, Keras (mini-Xception)", "fer", "FerKeras"),
    Peer("tutorial", "Haar and tutorial CNN (Keras)", "tutorial", "Tutorial", trained=False),
    Peer("yunet-loop", "YuNet and our network, plain loop", "yunet-loop", "YunetLoop", yunet=True),
    Peer("mediapipe", "MediaPipe 0.10.21 (faces only)", "mediapipe", "MediaPipe", emotions=False),
)


@dataclass(frozen=True)
class Published:
    """Figures that others have published."""

    title: str
    figure: str
    why: str
    """Why it is not measured here."""
    source: str


PUBLISHED = (
    Published(
        "deepface, emotion network",
        "57.4 % on FER-2013 PublicTest, which its training script tests on",
        "downloads its weights at first use",
        "the author in serengil/deepface, issues 247 and 1375; serengil/tensorflow-101",
    ),
    Published(
        "Residual Masking Network (`rmn`)",
        "74.14 % on FER-2013 PrivateTest after ImageNet, 76.82 % as an ensemble of seven",
        "downloads its weights; needs PyTorch",
        "Pham, Vu, Tran, ICPR 2020; README of phamquiluan/ResidualMaskingNetwork",
    ),
    Published(
        "HSEmotion / EmotiEffLib, EfficientNet-B0 and B2",
        "61.0 to 61.9 % and 63.0 % on AffectNet, 8 classes",
        "downloads its weights; other classes and data",
        "README of av-savchenko/face-emotion-recognition",
    ),
    Published(
        "best single network without extra data",
        "73.28 % on FER-2013 PrivateTest",
        "no package",
        "Khaireddin, Chen, arXiv:2105.03588, abstract",
    ),
)
