"""Export: the ONNX file computes what Keras computed, or is not written."""

from __future__ import annotations

import dataclasses
import shutil

import keras
import numpy as np
import onnx
import pytest

from fastfer.classifiers.native import EmotionClassifier
from fastfer.errors import InputError, ModelError, OutputError, UsageError
from fastfer.labels import ALL_EMOTIONS
from tests.helpers.tiny_network import TINY
from training.common.fold_batchnorm import inference_model
from training.common.run_folder import BEST
from training.expression import export, onnx_graph
from training.expression.architectures import build
from training.expression.config import ExpressionConfig
from training.expression.data import FIVE_CLASSES, load_dataset
from training.expression.face_sources import as_batch
from training.expression.metrics import face_weights, fit_temperature
from training.expression.predictors import load_predictor


@pytest.fixture
def images(parts) -> np.ndarray:
    return parts["PublicTest"][0].astype(np.float32)[..., None] / 255


def exporting(*words: object) -> int:
    return export.main([str(w) for w in words])


@pytest.mark.parametrize("arch", ["simple", "se_resnet", "fastfer", "vgg16"])
def test_an_exported_architecture_computes_the_same(
    train_once, few_faces_csv, tmp_path, images, arch
):
    words = ("--data", few_faces_csv, "--arch", arch, "--epochs", 1, "--batch-size", 42)
    folder, _ = train_once(*words)
    out = tmp_path / f"{arch}.onnx"
    assert exporting(folder, "--out", out) == 0

    model = keras.saving.load_model(folder / BEST, compile=False)
    reference = inference_model(model, fold=False)
    classifier = EmotionClassifier(out)
    some = images[::5]
    logits = np.asarray(reference(some, training=False), np.float64)
    logits /= classifier.contract.temperature
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


def test_the_metadata_holds_the_measured_metrics(trained_run, faces_csv, tmp_path, parts):
    out = tmp_path / "m.onnx"
    assert (
        exporting(trained_run, "--out", out, "--name", "drawn", "--trained-on", "drawn faces") == 0
    )
    classifier = EmotionClassifier(out)
    contract = classifier.contract
    assert (contract.name, contract.trained_on) == ("drawn", "drawn faces")
    assert contract.outputs == {"probabilities": "FER-2013 labels"}
    faces, labels = parts["PublicTest"]
    p = classifier.predict(faces.astype(np.float32)[..., None] / 255)
    assert contract.metrics["accuracy/PublicTest"] == pytest.approx(
        (p.argmax(axis=1) == labels).mean(), abs=1e-4
    )
    assert set(contract.metrics) == {
        f"{k}/PublicTest" for k in ("accuracy", "mean_recall", "macro_f1", "ece")
    }
    assert contract.likeness == ""
    # What the network of one head has learnt, and the prior that --prior level would answer for.
    assert contract.priors["probabilities"] != contract.level_prior
    assert sum(contract.level_prior) == pytest.approx(1, abs=1e-5)
    assert contract.temperature > 0


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"data": ""}, "unknown"),
        ({"data": "there/fer2013.csv"}, "fer2013.csv Training"),
        (
            {"data": "a.zip", "votes": "there/v.csv"},
            "a.zip Training",  # the votes are only for evaluation
        ),
        (
            {"data": "a.zip", "votes": "there/v.csv", "vote_smoothing": 0.3},
            "a.zip Training, labels smoothed by the votes of v.csv",
        ),
        (
            {"data": "a.zip", "votes": "v.csv", "targets": "votes", "val_fraction": 0.2},
            "a.zip Training, votes of v.csv; 0.2 of each class held out by seed 0",
        ),
        (
            {"data": "a.zip", "votes": "v.csv", "targets": "both", "val_fraction": 0.1, "seed": 3},
            "a.zip Training, labels and votes of v.csv; 0.1 of each class held out by seed 3",
        ),
    ],
)
def test_the_metadata_holds_the_training_data(config, expected):
    full = ExpressionConfig(epochs=1, batch_size=1, learning_rate=0.1, **config)
    assert export._trained_on(full, "Training") == expected


def test_int8_and_its_float32_version(trained_run, tmp_path, images, parts, capsys, monkeypatch):
    monkeypatch.setattr(onnx_graph, "HALVED_SIZE", 256)
    monkeypatch.setattr(export, "HALF_PARITY", 1e-2)
    plain, small, float32 = (tmp_path / name for name in ("a.onnx", "b.onnx", "other/f.onnx"))
    words = ["--name", "drawn", "--trained-on", "drawn faces"]
    assert exporting(trained_run, "--out", plain, *words) == 0
    words += ["--int8", "--allow-drop", 0.03]
    assert exporting(trained_run, "--out", small, "--float32-out", float32, *words) == 0
    assert [p.name for p in float32.parent.iterdir()] == ["f.onnx"]
    a, b, f = map(EmotionClassifier, (plain, small, float32))
    # Weights are stored in half precision.
    np.testing.assert_allclose(f.predict(images), a.predict(images), atol=export.HALF_PARITY)
    assert float32.stat().st_size < 0.8 * plain.stat().st_size
    assert f.contract == dataclasses.replace(a.contract, metrics=f.contract.metrics)
    assert b.contract == dataclasses.replace(
        a.contract, quantisation="int8", metrics=b.contract.metrics
    )
    assert b.contract.metrics.keys() == a.contract.metrics.keys()

    labels = parts["PublicTest"][1]
    p, q = a.predict(images), b.predict(images)
    was, now = ((x.argmax(axis=1) == labels).mean() for x in (p, q))
    assert f"INT8 {100 * now:.2f} %, float32 {100 * was:.2f} %" in capsys.readouterr().out
    assert (p.argmax(axis=1) == q.argmax(axis=1)).mean() > 0.95
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)
    # The last layer is float32: as many different probabilities as faces.
    assert len(np.unique(q[:, 0])) > 60

    graph = onnx.load(small)
    onnx.checker.check_model(graph, full_check=True)
    kinds = {n.op_type for n in graph.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert not kinds & export.TRAINING_ONLY
    assert "QuantizeLinear" not in {n.op_type for n in onnx.load(float32).graph.node}
    for value in (*graph.graph.input, *graph.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "n"
    values = {i.name: i for i in graph.graph.initializer}
    scales = {n.input[0]: n.input[1] for n in graph.graph.node if n.op_type == "DequantizeLinear"}
    kernels = [i for i in values.values() if len(i.dims) == 4]
    assert kernels
    for kernel in kernels:
        assert kernel.data_type == onnx.TensorProto.INT8
        assert values[scales[kernel.name]].dims == kernel.dims[:1], "a scale for every channel"


def test_five_classes_keep_their_labels(five_classes, tmp_path, images):
    out = tmp_path / "five.onnx"
    assert exporting(five_classes, "--out", out) == 0
    classifier = EmotionClassifier(out)
    assert classifier.contract.labels == FIVE_CLASSES
    p = classifier.predict(images)
    assert p.shape == (70, 7)
    assert not p[:, [1, 2]].any()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_int8_is_compared_on_the_targets_of_each_head(two_heads, tmp_path, images, capsys):
    out = tmp_path / "two.onnx"
    words = ["--head-blend", 0.6, "--int8", "--allow-drop", 0.05]
    assert exporting(two_heads, "--out", out, *words) == 0
    printed = capsys.readouterr().out
    assert "probabilities, FER+ majority on PublicTest: INT8" in printed
    assert "fer2013, FER-2013 labels on PublicTest: INT8" in printed
    default = EmotionClassifier(out)
    assert default.contract.outputs == {
        "probabilities": "0.6 FER+ votes + 0.4 FER-2013 labels", "fer2013": "FER-2013 labels",
    }  # fmt: skip
    assert {
        "accuracy/PublicTest",
        "accuracy/PublicTest/FER+",
        "accuracy/PublicTest/fer2013",
    } <= set(default.contract.metrics)
    predictor = load_predictor(out)
    heads = predictor.predict_heads(images)
    assert tuple(heads) == ("probabilities", "fer2013")
    assert np.abs(heads["probabilities"] - heads["fer2013"]).max() > 0.01
    np.testing.assert_array_equal(default.predict(images), heads["probabilities"])


def test_a_run_that_held_faces_out_is_measured_on_the_validation_split(
    train_once, tmp_path, faces_csv, parts, images
):
    run, _ = train_once("--data", faces_csv, *TINY, "--split", "fraction")
    out = tmp_path / "m.onnx"
    assert exporting(run, "--out", out) == 0
    classifier = EmotionClassifier(out)
    hits = classifier.predict(images).argmax(axis=1) == parts["PublicTest"][1]
    assert classifier.contract.metrics["accuracy/PublicTest"] == pytest.approx(
        hits.mean(), abs=1e-4
    )
    # The temperature is fitted to the held-out faces.
    held = load_dataset(faces_csv).training_and_validation(0.2, 0)[1]
    logits = load_predictor(run).logits(as_batch(held.load(np.arange(len(held)))))
    learnt = np.array(classifier.contract.priors["probabilities"])
    expected = fit_temperature(logits, held.labels, face_weights(held.labels, learnt))
    assert classifier.contract.temperature == pytest.approx(expected, rel=1e-3)


def test_training_faces_complete_those_of_validation(trained_run, faces_csv, tmp_path, monkeypatch):
    train, val = load_dataset(faces_csv).training_and_validation()
    out = tmp_path / "m.onnx"
    assert exporting(trained_run, "--out", out) == 0

    class Graph:
        def predict(self, faces, **_):
            return {"probabilities": EmotionClassifier(out).predict(faces)}

    for faces in (60, 100):
        monkeypatch.setattr(export, "PARITY_FACES", faces)
        count, difference = export.parity(Graph(), out, (val, train))
        assert count == faces
        assert difference < 1e-5


def test_contempt_is_an_eighth_class(train_once, tmp_path, faces_csv, votes_csv, images):
    words = ("--data", faces_csv, "--votes", votes_csv, "--targets", "both", "--contempt")
    run, _ = train_once(*words, *TINY)
    out = tmp_path / "eight.onnx"
    assert exporting(run, "--out", out) == 0
    classifier = EmotionClassifier(out)
    assert classifier.emotions == classifier.contract.labels == ALL_EMOTIONS
    assert len(classifier.contract.priors["fer2013"]) == 8
    rows = classifier.predict(images[:4])
    assert rows.shape == (4, 8)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


def test_a_network_trained_on_votes_is_named_so(train_once, tmp_path, faces_csv, votes_csv):
    words = ("--data", faces_csv, "--votes", votes_csv, "--targets", "votes", *TINY)
    run, _ = train_once(*words)
    out = tmp_path / "votes.onnx"
    # The configuration of the run also applies to a file in its folder.
    assert exporting(run / BEST, "--out", out) == 0
    assert EmotionClassifier(out).contract.outputs == {"probabilities": "FER+ votes"}


def test_photos_are_only_measured(two_heads, five_classes, photos_npz, tmp_path, images, capsys):
    with_photos, without, five = (tmp_path / f"{n}.onnx" for n in ("with", "without", "five"))
    assert exporting(two_heads, "--out", with_photos, "--photos", photos_npz, "--name", "n") == 0
    printed = capsys.readouterr().out
    assert printed.count("on photos, ") == 4
    assert exporting(two_heads, "--out", without, "--name", "n") == 0
    measured, plain = EmotionClassifier(with_photos), EmotionClassifier(without)
    assert measured.contract == plain.contract
    np.testing.assert_array_equal(measured.predict(images), plain.predict(images))
    assert exporting(five_classes, "--out", five, "--photos", photos_npz) == UsageError.exit_code
    assert not five.exists()


def test_exported_priors(two_heads, trained_run, tmp_path, images, capsys):
    level, uniform, learnt = (tmp_path / f"{n}.onnx" for n in ("level", "uniform", "learnt"))
    assert exporting(two_heads, "--out", level) == 0
    assert exporting(two_heads, "--out", uniform, "--prior", "uniform") == 0
    assert exporting(trained_run, "--out", learnt, "--prior", "level", "--level-share", 0) == 0
    contract = EmotionClassifier(level).contract
    assert set(contract.priors) == {"probabilities", "fer2013"}
    assert contract.priors["probabilities"] == contract.level_prior
    np.testing.assert_allclose(
        EmotionClassifier(level, prior="uniform").predict(images),
        EmotionClassifier(uniform).predict(images),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        EmotionClassifier(uniform, prior="level").predict(images),
        EmotionClassifier(level).predict(images),
        atol=1e-5,
    )
    np.testing.assert_allclose(EmotionClassifier(learnt).contract.level_prior, 1 / 7, atol=1e-5)
    out = tmp_path / "bad.onnx"
    (tmp_path / "bad.json").write_text('{"happy": 1}')
    for prior in ("equal", tmp_path / "bad.json"):
        assert exporting(two_heads, "--out", out, "--prior", prior) == UsageError.exit_code
        assert "--prior" in capsys.readouterr().err
    assert not out.exists()


def failing_parity(monkeypatch):
    monkeypatch.setattr(export, "PARITY", 0.0)


def failing_int8(monkeypatch):
    """Replace all kernels by zeros."""

    def ruin(plain, path, source):
        model = onnx.load(plain)
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
    "breaking", [failing_parity, failing_int8, failing_graph, failing_contract]
)
def test_a_failed_check_leaves_no_file(trained_run, tmp_path, monkeypatch, breaking):
    breaking(monkeypatch)
    out, float32 = tmp_path / "out" / "m.onnx", tmp_path / "out" / "f.onnx"
    words = [trained_run, "--out", out, "--int8", "--float32-out", float32]
    out.parent.mkdir()
    out.write_bytes(b"old content")
    assert exporting(*words) == ModelError.exit_code
    assert out.read_bytes() == b"old content"
    assert [p.name for p in out.parent.iterdir()] == ["m.onnx"]


def test_paths_are_checked_before_anything_is_read(tmp_path, capsys):
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    fine = tmp_path / "new" / "m.onnx"
    for places in (["--out", folder], ["--out", fine, "--int8", "--float32-out", folder]):
        assert exporting(tmp_path / "none", *places) == OutputError.exit_code
        assert str(folder) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [folder]


def test_what_cannot_be_exported_is_rejected(trained_run, two_heads, faces_csv, tmp_path, capsys):
    out = tmp_path / "m.onnx"
    bare, two, three = (tmp_path / f"{name}.keras" for name in ("bare", "two", "three"))
    shutil.copyfile(trained_run / BEST, bare)
    shutil.copyfile(two_heads / BEST, two)
    build("fastfer", 3).save(three)
    onnx_file = tmp_path / "bundled.onnx"
    shutil.copyfile(EmotionClassifier().path, onnx_file)
    with_data = ["--data", faces_csv, "--out", out]
    usage, unreadable = UsageError.exit_code, InputError.exit_code
    for words, code, named in (
        ([tmp_path, "--out", out], unreadable, str(tmp_path)),
        ([tmp_path / "none", "--out", out], unreadable, "none"),
        ([bare, "--out", out], usage, "--data"),
        ([bare, "--data", faces_csv, "--out", tmp_path / "m.keras"], usage, "m.keras"),
        ([onnx_file, *with_data], usage, "bundled.onnx"),
        ([two, *with_data], usage, "--votes"),
        ([three, *with_data], usage, "three.keras"),
        ([bare, *with_data, "--float32-out", tmp_path / "f.onnx"], usage, "--int8"),
        ([bare, *with_data, "--int8", "--float32-out", out], usage, str(out)),
        ([bare, *with_data, "--int8", "--float32-out", tmp_path / "f"], usage, "--float32-out"),
    ):
        assert exporting(*words) == code, words
        assert named in capsys.readouterr().err
    assert not out.exists()
