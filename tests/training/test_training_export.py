"""Export and evaluation: what leaves Keras computes what Keras computed, or does not leave."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_faces import csv_text, draw_faces, write_folders

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")

import tiny_network  # noqa: F401  (adds the architecture "tiny")
from fold_helpers import shuffle_statistics

from fastfer.classifier import EmotionClassifier
from fastfer.errors import InputError, ModelError
from fastfer.labels import EMOTIONS
from training import evaluate, export
from training.fold import inference_twin
from training.models import ARCHITECTURES, build
from training.predictors import load_predictor, with_flips
from training.runs import BEST
from training.train import main as train

ONE = [
    "--arch",
    "tiny",
    "--epochs",
    "8",
    "--precision",
    "float32",
    "--schedule",
    "one-cycle",
    "--rotation",
    "3",
]
NAMES = [a for a in ARCHITECTURES if a != "tiny"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, faces_csv) -> Path:
    """A run that has learnt the drawn faces."""
    out = tmp_path_factory.mktemp("runs") / "one"
    assert train(["--data", str(faces_csv), "--out", str(out), *ONE]) == 0
    return out


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory, faces_csv, votes_csv) -> Path:
    out = tmp_path_factory.mktemp("runs") / "two"
    words = ["--data", faces_csv, "--votes", votes_csv, "--targets", "both", "--out", out, *ONE]
    assert train([str(w) for w in words]) == 0
    return out


@pytest.fixture(autouse=True)
def _brief_timing(monkeypatch) -> None:
    monkeypatch.setattr(evaluate, "TIMED_SECONDS", 0.02)


@pytest.fixture
def images(parts) -> np.ndarray:
    return parts["PublicTest"][0].astype(np.float32)[..., None] / 255


def exporting(*words: object) -> int:
    return export.main([str(w) for w in words])


def evaluating(*words: object) -> int:
    return evaluate.main([str(w) for w in words])


# --- folding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", NAMES)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_folded_network_equals_the_trained_one(arch, policy, images):
    keras.config.set_dtype_policy(policy)
    try:
        model = build(arch, 7)
    finally:
        keras.config.set_dtype_policy("float32")
    shuffle_statistics(model)
    twin, plain = inference_twin(model), inference_twin(model, fold=False)
    faces = images[:8]
    expected = np.asarray(plain(faces, training=False))
    got = np.asarray(twin(faces, training=False))
    spread = np.ptp(expected)
    assert spread > 1e-3
    assert np.abs(got - expected).max() < 2e-5 * max(spread, np.abs(expected).max())
    if policy == "float32":
        np.testing.assert_allclose(
            expected, np.asarray(model(faces, training=False)), rtol=1e-5, atol=1e-5
        )
    kinds = [
        layer
        for layer in twin._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert kinds == [], "every normalisation of these networks follows a convolution"
    assert any(isinstance(x, keras.layers.BatchNormalization) for x in plain._flatten_layers()) == (
        arch != "vgg16"
    )


def test_a_normalisation_that_cannot_be_folded_stays(images):
    L = keras.layers
    inputs = keras.Input((48, 48, 1))
    x = L.BatchNormalization()(inputs)  # nothing before it
    a = L.Conv2D(4, 3, use_bias=False)(x)
    b = L.BatchNormalization(scale=False)(a)  # the convolution feeds another layer, too
    c = L.Conv2D(4, 3, padding="same", activation="relu")(L.Add()([a, b]))
    d = L.BatchNormalization(center=False)(c)  # a curve lies between
    e = L.BatchNormalization()(L.Conv2D(5, 3, bias_initializer="random_normal")(d))
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(e)))
    shuffle_statistics(model)
    twin = inference_twin(model)
    np.testing.assert_allclose(
        np.asarray(twin(images[:8])), np.asarray(model(images[:8])), rtol=1e-4, atol=1e-5
    )
    left = [x for x in twin._flatten_layers() if isinstance(x, L.BatchNormalization)]
    assert len(left) == 3


# --- export --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", NAMES)
def test_every_architecture_exports_and_computes_the_same(trained, tmp_path, images, capsys, arch):
    folder, _ = trained(arch)
    out = tmp_path / f"{arch}.onnx"
    assert exporting(folder, "--out", out) == 0
    said = capsys.readouterr().out
    assert "ONNX against Keras on 70 faces: largest difference" in said
    assert f"wrote {out}, {out.stat().st_size:,} bytes" in said

    model = keras.saving.load_model(folder / BEST, compile=False)
    reference = inference_twin(model, fold=False)
    classifier = EmotionClassifier(out)
    t = classifier.contract.temperature
    some = images[::5]
    logits = np.asarray(reference(some, training=False), np.float64) / t
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict(some), expected, atol=1e-4)

    graph = onnx.load(out)
    onnx.checker.check_model(graph, full_check=True)
    assert [o.version for o in graph.opset_import if o.domain in ("", "ai.onnx")] == [17]
    assert [i.name for i in graph.graph.input] == ["faces"]
    assert [o.name for o in graph.graph.output] == ["probabilities"]
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    assert not {n.op_type for n in graph.graph.node} & export.TRAINING_ONLY
    for n in (0, 1, 3, 70):
        assert classifier.predict(images[:n]).shape == (n, 7)


def test_the_metadata_says_what_was_measured(run, faces_csv, tmp_path, parts):
    out = tmp_path / "m.onnx"
    assert exporting(run, "--out", out, "--name", "drawn", "--trained-on", "drawn faces") == 0
    classifier = EmotionClassifier(out)
    contract = classifier.contract
    assert (contract.name, contract.trained_on) == ("drawn", "drawn faces")
    assert contract.outputs == {"probabilities": "FER-2013 labels"}
    faces, labels = parts["PublicTest"]
    p = classifier.predict(faces.astype(np.float32)[..., None] / 255)
    assert contract.metrics["accuracy/PublicTest"] == pytest.approx(
        (p.argmax(axis=1) == labels).mean(), abs=1e-4
    )
    assert set(contract.metrics) == {f"{k}/PublicTest" for k in ("accuracy", "macro_f1", "ece")}
    assert contract.temperature > 0


def test_int8_is_small_and_as_right(run, tmp_path, images, parts, capsys):
    plain, small = tmp_path / "a.onnx", tmp_path / "b.onnx"
    assert exporting(run, "--out", plain) == 0
    assert exporting(run, "--out", small, "--int8", "--allow-drop", 0.03) == 0
    assert "probabilities: INT8" in capsys.readouterr().out
    kinds = {n.op_type for n in onnx.load(small).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    a, b = (EmotionClassifier(p).predict(images) for p in (plain, small))
    assert (a.argmax(axis=1) == b.argmax(axis=1)).mean() > 0.95
    np.testing.assert_allclose(b.sum(axis=1), 1, rtol=1e-5)
    # The last layer stays in float32: as many different answers as faces.
    assert len(np.unique(b[:, 0])) > 60
    weights = {i.data_type for i in onnx.load(small).graph.initializer if len(i.dims) == 4}
    assert weights == {onnx.TensorProto.INT8}


def test_two_heads_become_two_outputs(two_heads, tmp_path, images, parts, capsys):
    out = tmp_path / "two.onnx"
    assert (
        exporting(two_heads, "--out", out, "--crowd-share", 0.6, "--int8", "--allow-drop", 0.05)
        == 0
    )
    said = capsys.readouterr().out
    assert "probabilities: INT8" in said
    assert "fer2013: INT8" in said
    default = EmotionClassifier(out)
    assert default.contract.outputs == {
        "probabilities": "0.6 FER+ votes + 0.4 FER-2013 labels", "fer2013": "FER-2013 labels",
    }  # fmt: skip
    assert {
        "accuracy/PublicTest",
        "accuracy/PublicTest/FER+",
        "accuracy/PublicTest/fer2013",
    } <= set(default.contract.metrics)
    crowd = EmotionClassifier(out, labels="crowd").predict(images)
    labels = EmotionClassifier(out, labels="fer2013").predict(images)
    np.testing.assert_array_equal(default.predict(images), crowd)
    assert np.abs(crowd - labels).max() > 0.01
    # The votes give neutral three of ten, the labels nothing.
    not_neutral = parts["PublicTest"][1] != 6
    assert crowd[not_neutral, 6].mean() > 1.5 * labels[not_neutral, 6].mean()


def test_votes_alone_are_named_so(tmp_path, faces_csv, votes_csv):
    run, out = tmp_path / "run", tmp_path / "votes.onnx"
    words = ["--data", faces_csv, "--votes", votes_csv, "--targets", "votes", "--out", run, *ONE]
    assert train([str(w) for w in words]) == 0
    assert exporting(run, "--out", out) == 0
    assert EmotionClassifier(out, labels="crowd").contract.outputs == {
        "probabilities": "FER+ votes"
    }


def failing_parity(monkeypatch):
    monkeypatch.setattr(export, "PARITY", 0.0)


def failing_int8(monkeypatch):
    """Quantise to one value for all: ranges from a single black face."""

    def ruin(path, source):
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if len(tensor.dims) >= 2:
                values = np.zeros(tuple(tensor.dims), np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        onnx.save(model, path)

    monkeypatch.setattr(export, "quantise", ruin)


def failing_graph(monkeypatch):
    monkeypatch.setattr(export, "TRAINING_ONLY", {"Softmax"})


def failing_contract(monkeypatch):
    real = export.ModelContract
    monkeypatch.setattr(export, "ModelContract", lambda **k: real(**k, input_size=64))


@pytest.mark.parametrize(
    ("breaking", "what"),
    [
        (failing_parity, "more than 0e+00; nothing was written"),
        (failing_int8, "points, more than 0.50. Allow it with --allow-drop"),
        (failing_graph, "training-only nodes in the graph: Softmax"),
        (failing_contract, "one float32 input of shape"),
    ],
)
def test_a_failed_check_leaves_no_file_behind(run, tmp_path, monkeypatch, capsys, breaking, what):
    breaking(monkeypatch)
    out = tmp_path / "out" / "m.onnx"
    assert exporting(run, "--out", out, "--int8") == ModelError.exit_code
    assert what in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []
    out.write_bytes(b"what was there before")
    assert exporting(run, "--out", out, "--int8") == ModelError.exit_code
    assert out.read_bytes() == b"what was there before"
    assert [p.name for p in out.parent.iterdir()] == ["m.onnx"]


def test_what_cannot_be_exported_is_told(run, two_heads, faces_csv, tmp_path, capsys):
    out = tmp_path / "m.onnx"
    assert exporting(tmp_path, "--out", out) == 3
    assert "is" in capsys.readouterr().err
    assert exporting(run / BEST, "--out", out) == 2
    assert "--data is needed" in capsys.readouterr().err
    assert exporting(run / BEST, "--data", faces_csv, "--out", tmp_path / "m.keras") == 2
    assert "must end in .onnx" in capsys.readouterr().err
    assert exporting(run / BEST, "--data", faces_csv, "--out", out) == 0
    assert exporting(out, "--data", faces_csv, "--out", tmp_path / "again.onnx") == 2
    assert "takes a run folder or a .keras file" in capsys.readouterr().err
    assert exporting(two_heads / BEST, "--data", faces_csv, "--out", tmp_path / "two.onnx") == 2
    assert "give --votes" in capsys.readouterr().err
    five = tmp_path / "five.keras"
    build("fastfer", 5).save(five)
    assert exporting(five, "--data", faces_csv, "--out", tmp_path / "five.onnx") == 2
    assert "knows 5 classes" in capsys.readouterr().err
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["five.keras", "m.onnx"]


# --- evaluation ----------------------------------------------------------------------------------


def assert_pictures(*paths: Path) -> None:
    for path in paths:
        image = cv2.imread(str(path))
        assert image is not None, path
        assert min(image.shape[:2]) > 200
        assert image.std() > 10


def test_evaluates_a_run(run, faces_csv, votes_csv, tmp_path, parts, capsys):
    out = tmp_path / "report"
    assert evaluating(run, "--data", faces_csv, "--votes", votes_csv, "--out", out) == 0
    names = ("confusion", "reliability", "curves", "confusion-ferplus", "reliability-ferplus")
    assert_pictures(*(out / f"{name}.png" for name in names))
    (report,) = json.loads((out / "report.json").read_text()).values()
    faces, labels = parts["PublicTest"]
    p = load_predictor(run).predict(faces.astype(np.float32)[..., None] / 255)
    assert report["accuracy"] == pytest.approx((p.argmax(axis=1) == labels).mean())
    assert report["accuracy"] > 0.6
    assert report["ferplus"]["faces"] < report["faces"] == 70
    assert list(report["ms_per_face"]) == ["1", "8", "32"]
    assert report["bytes"] == (run / BEST).stat().st_size
    text = (out / "report.md").read_text()
    assert "Measured on PublicTest (70 faces)." in text
    assert "FER+ majority" in text
    for name in EMOTIONS:
        assert f"| {name} | 10 |" in text
    assert text in capsys.readouterr().out


def test_the_report_lies_beside_a_single_keras_model(run, faces_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "run"
    shutil.copytree(run, mine)
    assert evaluating(mine, "--data", faces_csv, "--split", "Training") == 0
    assert (mine / "report.json").exists()
    assert evaluating(mine, mine / BEST, "--data", faces_csv) == 0
    assert (tmp_path / "report" / "report.json").exists()


def test_compares_models_of_all_kinds(run, two_heads, faces_csv, tmp_path):
    one, two = tmp_path / "m.onnx", tmp_path / "n" / "m.onnx"
    assert exporting(run, "--out", one) == 0
    assert exporting(two_heads, "--out", two) == 0
    out = tmp_path / "report"
    words = [run, one, two, two_heads, "--data", faces_csv, "--out", out]
    assert evaluating(*words, "--tta", "flip") == 0
    reports = json.loads((out / "report.json").read_text())
    outputs = {k: v["output"] for k, v in reports.items()}
    assert sorted(outputs.values()) == ["crowd", "fer2013", "fer2013", *["probabilities"] * 3]
    assert len(reports) == 6
    assert_pictures(out / "comparison.png", *out.glob("confusion-*.png"))
    assert len(list(out.glob("reliability-*.png"))) == 6
    text = (out / "report.md").read_text()
    assert "mirrored faces averaged in" in text
    assert text.count("| model |") == 1


def test_flips_are_averaged(run, images):
    predictor = load_predictor(run)
    expected = (predictor.predict(images) + predictor.predict(images[:, :, ::-1].copy())) / 2
    np.testing.assert_allclose(with_flips(predictor, images), expected)
    np.testing.assert_allclose(
        with_flips(predictor, images), with_flips(predictor, images[:, :, ::-1].copy()), atol=1e-6
    )


def test_five_classes_are_evaluated_when_told(tmp_path, faces_csv, capsys):
    run = tmp_path / "run"
    assert train(["--data", str(faces_csv), "--out", str(run), *ONE, "--classes", "5"]) == 0
    assert f"evaluate {run} --data {faces_csv} --classes 5" in capsys.readouterr().out
    assert evaluating(run, "--data", faces_csv) == 2
    assert "knows 5 classes, the data 7; see --classes" in capsys.readouterr().err
    assert evaluating(run, "--data", faces_csv, "--classes", 5) == 0
    (report,) = json.loads((run / "report.json").read_text()).values()
    assert list(report["per_class"]) == ["angry", "happy", "sad", "surprise", "neutral"]
    assert report["faces"] == 50


def test_evaluates_folders_in_parts(run, tmp_path, parts, monkeypatch):
    data = write_folders(tmp_path / "data", {"test": parts["PublicTest"]}, ".png")
    monkeypatch.setattr(evaluate, "CHUNK", 16)
    assert evaluating(run, "--data", data, "--split", "test", "--out", tmp_path / "report") == 0
    (report,) = json.loads((tmp_path / "report" / "report.json").read_text()).values()
    assert report["faces"] == 70


def test_what_cannot_be_evaluated_is_told(run, faces_csv, tmp_path, capsys):
    assert evaluating(tmp_path / "none.onnx", "--data", faces_csv) == 3
    assert "give a run folder, a .keras or an .onnx file" in capsys.readouterr().err
    text = tmp_path / "model.txt"
    text.write_text("x")
    assert evaluating(text, "--data", faces_csv) == 3
    for name in ("a.keras", "a.onnx"):
        (tmp_path / name).write_bytes(b"not a model")
        assert evaluating(tmp_path / name, "--data", faces_csv) == 4
        assert f"{name}" in capsys.readouterr().err
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(7)]).save(other)
    assert evaluating(other, "--data", faces_csv) == 4
    assert "(N, 48, 48, 1) is needed" in capsys.readouterr().err
    assert evaluating(run, "--data", faces_csv, "--split", "PrivateTest") == 2
    assert "no split 'PrivateTest'" in capsys.readouterr().err


def test_an_empty_split_is_told(run, tmp_path):
    faces, labels = draw_faces(7)
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": (faces, labels)}))
    folder = tmp_path / "data" / "test"
    folder.mkdir(parents=True)
    write_folders(tmp_path / "data", {"train": (faces, labels)}, ".png")
    from training.data import load_dataset

    with pytest.raises(InputError, match="'test' holds no faces"):
        load_dataset(tmp_path / "data").split("test")
