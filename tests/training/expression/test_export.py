"""Export and evaluation: what leaves Keras computes what Keras computed, or does not leave."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.drawn_faces import csv_text, draw_faces, write_folders

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")
skimage = pytest.importorskip("skimage")

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from fastfer.classifiers.native import EmotionClassifier
from fastfer.errors import InputError, ModelError, OutputError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.fold_helpers import shuffle_statistics
from training.common import plots
from training.common.fold_batchnorm import inference_twin
from training.common.run_folder import BEST
from training.expression import calibration, evaluate, export, tune_head_blend
from training.expression.architectures import ARCHITECTURES, build
from training.expression.data import FIVE_CLASSES, as_batch, load_dataset
from training.expression.metrics import fit_temperature, softmax
from training.expression.predictors import load_predictor, with_flips
from training.expression.train import main as train

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


@pytest.fixture(scope="module")
def five(tmp_path_factory, faces_csv) -> Path:
    """A run that knows neither disgust nor fear."""
    out = tmp_path_factory.mktemp("runs") / "five"
    assert train(["--data", str(faces_csv), "--out", str(out), *ONE, "--classes", "5"]) == 0
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
        shuffle_statistics(model)
        # In float32 also for a training that computes in less, where teachers are asked.
        twin, plain = inference_twin(model), inference_twin(model, fold=False)
    finally:
        keras.config.set_dtype_policy("float32")
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
    assert "ONNX against Keras on 280 faces, all there are: largest difference" in said
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
    assert exporting(run, "--out", out) == 0
    assert EmotionClassifier(out).contract.trained_on == "fer2013.csv Training"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "unknown"),
        ({"data": "there/fer2013.csv"}, "fer2013.csv Training"),
        (
            {"data": "a.zip", "votes": "there/v.csv"},
            "a.zip Training",  # read for figures alone
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
def test_the_metadata_says_what_a_run_was_trained_on(config, expected):
    assert export._trained_on(config, "Training") == expected


def test_int8_is_small_and_as_right(run, tmp_path, images, parts, capsys):
    plain, small = tmp_path / "a.onnx", tmp_path / "b.onnx"
    assert exporting(run, "--out", plain) == 0
    assert exporting(run, "--out", small, "--int8", "--allow-drop", 0.03) == 0
    graph = onnx.load(small)
    onnx.checker.check_model(graph, full_check=True)
    assert {o.domain: o.version for o in graph.opset_import} == {"": 17}
    kinds = {n.op_type for n in graph.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert not kinds & export.TRAINING_ONLY
    (given,), (taken,) = graph.graph.input, graph.graph.output
    assert (given.name, taken.name) == ("faces", "probabilities")
    for value in (given, taken):
        assert value.type.tensor_type.shape.dim[0].dim_param == "n"
    a, b = (EmotionClassifier(p).predict(images) for p in (plain, small))
    labels = parts["PublicTest"][1]
    was, now = ((p.argmax(axis=1) == labels).mean() for p in (a, b))
    assert (
        f"probabilities, FER-2013 labels on PublicTest: INT8 {now:.2%} against float32 {was:.2%}"
        in capsys.readouterr().out
    )
    assert EmotionClassifier(plain).contract.quantisation == "none"
    assert EmotionClassifier(small).contract.quantisation == "int8"
    assert (a.argmax(axis=1) == b.argmax(axis=1)).mean() > 0.95
    np.testing.assert_allclose(b.sum(axis=1), 1, rtol=1e-5)
    # The last layer stays in float32: as many different answers as faces.
    assert len(np.unique(b[:, 0])) > 60
    values = {i.name: i for i in graph.graph.initializer}
    scales = {n.input[0]: n.input[1] for n in graph.graph.node if n.op_type == "DequantizeLinear"}
    kernels = [i for i in values.values() if len(i.dims) == 4]
    assert kernels
    for kernel in kernels:
        assert kernel.data_type == onnx.TensorProto.INT8
        assert values[scales[kernel.name]].dims == kernel.dims[:1], "a scale for every channel"


def test_int8_brings_its_float32_twin(run, tmp_path, images, capsys):
    plain, small, twin = (tmp_path / name for name in ("a.onnx", "b.onnx", "other/twin.onnx"))
    words = ["--name", "drawn", "--trained-on", "drawn faces"]
    assert exporting(run, "--out", plain, *words) == 0
    words += ["--int8", "--allow-drop", 0.03]
    assert exporting(run, "--out", small, "--twin", twin, *words) == 0
    said = capsys.readouterr().out
    assert f"wrote {small}, {small.stat().st_size:,} bytes\nwrote {twin}, " in said
    quantised = [
        "QuantizeLinear" in {n.op_type for n in onnx.load(p).graph.node} for p in (small, twin)
    ]
    assert quantised == [True, False]
    assert [p.name for p in twin.parent.iterdir()] == ["twin.onnx"]
    a, b, t = map(EmotionClassifier, (plain, small, twin))
    np.testing.assert_array_equal(t.predict(images), a.predict(images))
    assert t.contract == a.contract, "the same checks, the same metadata"
    assert b.contract == dataclasses.replace(
        a.contract, quantisation="int8", metrics=b.contract.metrics
    )
    assert b.contract.metrics.keys() == t.contract.metrics.keys()


def test_no_twin_is_left_where_int8_fails(run, tmp_path, monkeypatch, capsys):
    failing_int8(monkeypatch)
    out, twin = tmp_path / "m.onnx", tmp_path / "twin.onnx"
    assert exporting(run, "--out", out, "--int8", "--twin", twin) == ModelError.exit_code
    assert "points, more than 0.50" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_five_classes_carry_their_labels(five, tmp_path, faces_csv, images, capsys):
    out = tmp_path / "five.onnx"
    assert exporting(five, "--out", out, "--int8", "--allow-drop", 0.05) == 0
    said = capsys.readouterr().out
    assert "fastfer gives disgust and fear the probability 0 with this network" in said
    classifier = EmotionClassifier(out)
    assert classifier.contract.labels == FIVE_CLASSES
    p = classifier.predict(images)
    assert p.shape == (70, 7)
    assert not p[:, [1, 2]].any()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    report = tmp_path / "report"
    assert evaluating(out, five, "--data", faces_csv, "--out", report) == 0
    one, other = json.loads((report / "report.json").read_text()).values()
    assert list(one["per_class"]) == list(FIVE_CLASSES)
    assert one["accuracy"] == classifier.contract.metrics["accuracy/PublicTest"]
    assert one["accuracy"] == pytest.approx(other["accuracy"], abs=0.05)
    words = [sys.executable, "-m", "fastfer.image", "--model", out, "--json"]
    picture = tmp_path / "face.png"
    cv2.imwrite(str(picture), skimage.data.astronaut()[:, :, ::-1])
    done = subprocess.run([*words, picture], capture_output=True, text=True, check=True)
    (face,) = json.loads(done.stdout)["faces"]
    assert face["emotion"] in FIVE_CLASSES
    assert face["probabilities"]["fear"] == 0


def test_what_a_head_learnt_is_what_int8_is_judged_by(run, votes_csv, tmp_path, parts, capsys):
    """Votes beside a network that learnt labels add figures, and nothing else."""
    out = tmp_path / "m.onnx"
    words = ["--votes", votes_csv, "--int8", "--allow-drop", 0.03]
    assert exporting(run, "--out", out, *words) == 0
    said = capsys.readouterr().out
    assert "probabilities, FER-2013 labels on PublicTest: INT8" in said
    assert "probabilities against FER+ majority: accuracy" in said
    metrics = EmotionClassifier(out).contract.metrics
    assert f"INT8 {metrics['accuracy/PublicTest']:.2%} against" in said
    assert "accuracy/PublicTest/FER+" in metrics


def test_a_run_that_held_faces_out_is_judged_on_the_data_s_own_split(
    tmp_path, faces_csv, parts, images, capsys
):
    run, out = tmp_path / "run", tmp_path / "m.onnx"
    words = ["--data", str(faces_csv), "--out", str(run), *ONE, "--split", "fraction"]
    assert train(words) == 0
    capsys.readouterr()
    assert exporting(run, "--out", out, "--int8", "--allow-drop", 0.05) == 0
    said = capsys.readouterr().out
    assert "ONNX against Keras on 210 faces, all there are" in said
    assert "probabilities, FER-2013 labels on PublicTest: INT8" in said
    classifier = EmotionClassifier(out)
    hits = classifier.predict(images).argmax(axis=1) == parts["PublicTest"][1]
    assert classifier.contract.metrics["accuracy/PublicTest"] == pytest.approx(
        hits.mean(), abs=1e-4
    )
    # The temperature comes from the faces that were held out.
    held = load_dataset(faces_csv).training_and_validation(0.2, 0)[1]
    logits = load_predictor(run).logits(as_batch(held.load(np.arange(len(held)))))
    expected = fit_temperature(logits, np.eye(7, dtype=np.float32)[held.labels])
    assert classifier.contract.temperature == pytest.approx(expected, rel=1e-3)


def test_faces_of_training_fill_up_what_validation_lacks(run, tmp_path, monkeypatch, capsys):
    for faces in (60, 100):
        monkeypatch.setattr(export, "PARITY_FACES", faces)
        assert exporting(run, "--out", tmp_path / "m.onnx") == 0
        assert f"ONNX against Keras on {faces} faces: largest" in capsys.readouterr().out


def test_two_heads_become_two_outputs(two_heads, tmp_path, images, capsys):
    out = tmp_path / "two.onnx"
    assert (
        exporting(two_heads, "--out", out, "--crowd-share", 0.6, "--int8", "--allow-drop", 0.05)
        == 0
    )
    said = capsys.readouterr().out
    assert "probabilities, FER+ majority on PublicTest: INT8" in said
    assert "fer2013, FER-2013 labels on PublicTest: INT8" in said
    default = EmotionClassifier(out)
    assert default.contract.outputs == {
        "probabilities": "0.6 FER+ votes + 0.4 FER-2013 labels", "fer2013": "FER-2013 labels",
    }  # fmt: skip
    assert {
        "accuracy/PublicTest",
        "accuracy/PublicTest/FER+",
        "accuracy/PublicTest/fer2013",
    } <= set(default.contract.metrics)
    crowd = EmotionClassifier(out, head="ferplus").predict(images)
    labels = EmotionClassifier(out, head="fer2013").predict(images)
    np.testing.assert_array_equal(default.predict(images), crowd)
    assert np.abs(crowd - labels).max() > 0.01
    for predictor in (load_predictor(out), load_predictor(two_heads)):
        once = predictor.predict_heads(images)
        assert tuple(once) == predictor.heads
        for head, said in once.items():
            np.testing.assert_allclose(said, predictor.predict(images, head), atol=1e-6)


def test_the_blend_of_two_heads_is_calibrated_on_the_majority(two_heads, faces_csv, votes_csv):
    predictor = load_predictor(two_heads)
    _, val = load_dataset(faces_csv, votes=votes_csv).training_and_validation()
    logits = calibration.head_logits(predictor, predictor.heads, val)
    fitted = calibration.calibrate(logits, val, 0.6)
    t = fitted.temperatures
    faces = as_batch(val.load(np.arange(len(val))))
    crowd, labels = (logits[name] / t[name] for name in ("crowd", "fer2013"))
    mixed = 0.6 * crowd + 0.4 * labels
    voted = val.votes.any(axis=1)
    majority = np.eye(7, dtype=np.float32)[val.votes[voted].argmax(axis=1)]
    assert t["probabilities"] == pytest.approx(fit_temperature(mixed[voted], majority), rel=1e-3)
    assert not fitted.offsets["probabilities"].any()
    # The labels' own output is fitted to how often each label stands there.
    own = labels + fitted.offsets["fer2013"]
    frequent = np.bincount(val.labels, minlength=7) / len(val)
    np.testing.assert_allclose(softmax(own).mean(axis=0), frequent, atol=0.01)
    got = calibration.probability_model(predictor.model, fitted).predict(faces, verbose=0)
    np.testing.assert_allclose(
        got["probabilities"], softmax(mixed, t["probabilities"]), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(got["fer2013"], softmax(own), rtol=1e-4, atol=1e-6)


def test_photos_give_the_default_output_offsets(two_heads, faces_csv, votes_csv, tmp_path, capsys):
    predictor = load_predictor(two_heads)
    _, val = load_dataset(faces_csv, votes=votes_csv).training_and_validation()
    logits = calibration.head_logits(predictor, predictor.heads, val)
    # Photos of nothing but surprise.
    faces, labels = draw_faces(40)[0], np.full(40, EMOTIONS.index("surprise"))
    scores = {h: predictor.logits(as_batch(faces), h) for h in predictor.heads}
    fitted = calibration.calibrate(logits, val, 0.6, [(scores, labels)])
    assert fitted.offsets["probabilities"].argmax() == EMOTIONS.index("surprise")
    plain = calibration.calibrate(logits, val, 0.6)
    for head in ("crowd", "fer2013"):
        assert fitted.temperatures[head] == plain.temperatures[head]
    np.testing.assert_array_equal(fitted.offsets["fer2013"], plain.offsets["fer2013"])
    default = fitted.logits(scores)["probabilities"]
    np.testing.assert_allclose(
        default, fitted.blended(scores) + fitted.offsets["probabilities"], rtol=1e-6
    )

    wild, out = tmp_path / "wild.npz", tmp_path / "out.onnx"
    np.savez(wild, images=faces, images_full=faces, labels=labels)
    words = [str(two_heads), "--out", str(out), "--crowd-share", "0.6"]
    assert export.main([*words, "--wild", str(wild)]) == 0
    said = f"surprise {fitted.offsets['probabilities'][5]:+.2f}"
    assert said in capsys.readouterr().out
    p = EmotionClassifier(out).predict(as_batch(faces))
    np.testing.assert_allclose(p, softmax(default), atol=1e-4)


@pytest.mark.parametrize("classes", [7, 5])
def test_photos_calibrate_votes_of_seven_classes_alone(tmp_path, faces_csv, run, classes, capsys):
    if classes == 5:
        run = tmp_path / "five"
        words = ["--data", faces_csv, "--arch", "tiny", "--epochs", 1, "--classes", 5]
        assert train([str(w) for w in (*words, "--out", run)]) == 0
    wild, out = tmp_path / "wild.npz", tmp_path / "out.onnx"
    faces, labels = draw_faces(30)
    np.savez(wild, images=faces, images_full=faces, labels=labels)
    assert export.main([str(run), "--out", str(out), "--wild", str(wild)]) == UsageError.exit_code
    assert "--targets votes or both" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("heads", [1, 2])
def test_temperatures_and_blend_go_into_the_weights(two_heads, run, faces_csv, heads):
    predictor = load_predictor(two_heads if heads == 2 else run)
    fitted = calibration.Calibration(
        {"probabilities": 1.3, "crowd": 0.8, "fer2013": 1.7},
        0.6,
        {
            "probabilities": np.float32([0.3, -1, 0, 0.1, 0.2, 1, -0.4]),
            "fer2013": np.float32([0.1, 0, -0.5, 0.2, 0.7, 0, -0.2]),
        },
    )
    expected = calibration.probability_model(predictor.original, fitted)
    merged = calibration.merged_heads(predictor.model, fitted)
    faces = draw_faces(40)[0][..., None].astype(np.float32) / 255
    wanted, got = (model.predict(faces, verbose=0) for model in (expected, merged))
    assert list(got) == list(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-6)


def test_shares_of_the_blend_are_compared(two_heads, run, faces_csv, tmp_path, capsys):
    wild = tmp_path / "wild.npz"
    faces, labels = draw_faces(30)
    np.savez(wild, images=faces, images_full=faces, labels=labels)
    assert tune_head_blend.main([str(two_heads), "--wild", str(wild)]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()]
    assert [float(row[1]) for row in rows[2:]] == list(tune_head_blend.SHARES)
    assert all(len(row) == 2 + 1 + 3 * 3 for row in rows)
    assert tune_head_blend.main([str(run), "--votes", "x.csv"]) == UsageError.exit_code
    assert "not a network with two heads" in capsys.readouterr().err
    assert (
        tune_head_blend.main([str(two_heads / BEST), "--data", str(faces_csv)])
        == UsageError.exit_code
    )


def test_votes_alone_are_named_so(tmp_path, faces_csv, votes_csv):
    run, out = tmp_path / "run", tmp_path / "votes.onnx"
    words = ["--data", faces_csv, "--votes", votes_csv, "--targets", "votes", "--out", run, *ONE]
    assert train([str(w) for w in words]) == 0
    for what in (run, run / BEST):  # a file of the run is known by the run's configuration
        assert exporting(what, "--out", out) == 0
        assert EmotionClassifier(out, head="ferplus").contract.outputs == {
            "probabilities": "FER+ votes"
        }


def failing_parity(monkeypatch):
    monkeypatch.setattr(export, "PARITY", 0.0)


def failing_int8(monkeypatch):
    """Quantise to one value for all: ranges from a single black face."""

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


def test_places_that_hold_no_file_are_refused_before_anything_is_read(tmp_path, capsys):
    folder, file = tmp_path / "folder.onnx", tmp_path / "file"
    folder.mkdir()
    file.write_bytes(b"")
    fine = tmp_path / "new" / "m.onnx"
    for places, what in (
        (["--out", folder], f"--out {folder}: a folder; give the name of a file"),
        (["--out", fine, "--int8", "--twin", folder], f"--twin {folder}: a folder"),
        (["--out", file / "m.onnx"], f"--out {file / 'm.onnx'}: {file} is not a folder"),
    ):
        assert exporting(tmp_path / "none", *places) == OutputError.exit_code
        assert what in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [file, folder]


def test_a_place_without_permission_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export.os, "access", lambda path, mode: Path(path) != tmp_path)
    assert exporting(tmp_path, "--out", tmp_path / "new" / "m.onnx") == OutputError.exit_code
    assert f"{tmp_path} cannot be written to" in capsys.readouterr().err


@pytest.mark.parametrize("before", [b"what was there before", None])
def test_files_are_put_in_place_all_or_none(tmp_path, before):
    made = [tmp_path / "made" / name for name in ("a.onnx", "b.onnx")]
    out, twin = tmp_path / "a.onnx", tmp_path / "b.onnx"
    made[0].parent.mkdir()
    for path in made:
        path.write_bytes(b"new")
    if before:
        out.write_bytes(before)
    twin.mkdir()
    with pytest.raises(OSError, match=r"b\.onnx"):
        export._put_in_place(made, [out, twin])
    assert (out.read_bytes() if before else out.exists()) == (before or False)
    made[0].write_bytes(b"new")
    twin.rmdir()
    export._put_in_place(made, [out, twin])
    assert out.read_bytes() == twin.read_bytes() == b"new"
    assert sorted(p for p in tmp_path.iterdir() if p.is_file()) == [out, twin]


def test_what_cannot_be_exported_is_told(run, two_heads, faces_csv, tmp_path, capsys):
    out = tmp_path / "m.onnx"
    assert exporting(tmp_path, "--out", out) == 3
    assert "is" in capsys.readouterr().err
    assert exporting(tmp_path / "none", "--out", out) == 3
    assert "none: no such file; give a run folder" in capsys.readouterr().err
    bare = tmp_path / "bare.keras"
    shutil.copyfile(run / BEST, bare)
    assert exporting(bare, "--out", out) == 2
    assert "--data is needed" in capsys.readouterr().err
    assert exporting(bare, "--data", faces_csv, "--out", tmp_path / "m.keras") == 2
    assert "must end in .onnx" in capsys.readouterr().err
    assert exporting(bare, "--data", faces_csv, "--out", out) == 0
    assert exporting(out, "--data", faces_csv, "--out", tmp_path / "again.onnx") == 2
    assert "takes a run folder or a .keras file" in capsys.readouterr().err
    shutil.copyfile(two_heads / BEST, bare)
    assert exporting(bare, "--data", faces_csv, "--out", tmp_path / "two.onnx") == 2
    assert "give --votes" in capsys.readouterr().err
    three = tmp_path / "three.keras"
    build("fastfer", 3).save(three)
    assert exporting(three, "--data", faces_csv, "--out", tmp_path / "three.onnx") == 2
    assert "knows 3 classes; fastfer reads the seven" in capsys.readouterr().err
    again = ["--data", faces_csv, "--out", tmp_path / "again.onnx"]
    assert exporting(run, *again, "--twin", tmp_path / "twin.onnx") == 2
    assert "--twin is the float32 twin of an INT8 file: add --int8" in capsys.readouterr().err
    assert exporting(run, *again, "--int8", "--twin", tmp_path / "x" / ".." / "again.onnx") == 2
    assert "give the twin another name" in capsys.readouterr().err
    assert exporting(run, *again, "--int8", "--twin", tmp_path / "twin") == 2
    assert "--twin" in capsys.readouterr().err
    (tmp_path / "folder.onnx").mkdir()
    assert exporting(run, "--data", faces_csv, "--out", tmp_path / "folder.onnx") == 1
    assert "folder.onnx" in capsys.readouterr().err
    left = ["bare.keras", "folder.onnx", "m.onnx", "three.keras"]
    assert [p.name for p in sorted(tmp_path.iterdir())] == left


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
    weights = keras.saving.load_model(run / BEST, compile=False).count_params() * 4
    assert report["bytes"] == weights < (run / BEST).stat().st_size / 2, "no optimizer's state"
    text = (out / "report.md").read_text()
    assert "Measured on PublicTest (70 faces)." in text
    assert "FER+ majority" in text
    assert "MB: size of an ONNX file; of the float32 weights alone in a Keras file." in text
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


def test_the_time_is_that_of_both_passes(monkeypatch, faces_csv):
    """A network that sleeps: its time is known."""
    monkeypatch.setattr(evaluate, "TIMED_SECONDS", 0.05)

    class Sleeper:
        def predict(self, faces, head=None):
            time.sleep(0.005)
            return np.zeros((len(faces), 7), np.float32)

    source = load_dataset(faces_csv).split("PublicTest")
    for flip, passes in ((False, 1), (True, 2)):
        times = evaluate.time_per_face(Sleeper(), source, flip=flip)
        for batch in (1, 8, 32):
            # Tables are rounded to 0.0001 ms a face.
            assert times[str(batch)] * batch > passes * 4.99


# Milliseconds a face of networks that lie close together, far apart, and at one point.
SPREADS = {
    "close": [0.31, 0.312, 0.33, 0.35, 0.36],
    "within one decade": [0.11, 0.12, 0.4, 0.41, 0.6],
    "wide": [0.02, 0.021, 0.5, 7, 120],
    "one point": [0.3] * 5,
}


@pytest.mark.parametrize("times", SPREADS.values(), ids=list(SPREADS))
def test_texts_of_the_comparison_do_not_cover_each_other(tmp_path, monkeypatch, times):
    monkeypatch.setattr(plots.plt, "close", lambda figure: drawn.append(figure))
    drawn: list = []
    names = [f"_run-{i}-with-a-long-name-fer2013" for i in range(len(times))]
    reports = {
        name: {"ms_per_face": {"8": ms}, "accuracy": 0.65 + i / 1e4, "bytes": 8e5 * (i + 1)}
        for i, (name, ms) in enumerate(zip(names, times, strict=True))
    }
    plots.accuracy_against_latency(reports, tmp_path / "c.png")
    (figure,) = drawn
    monkeypatch.undo()
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [
        label
        for at, label in zip(
            axes.get_xticks(minor=False), axes.get_xticklabels(minor=False), strict=True
        )
        if low <= at <= high and label.get_text()
    ]
    assert len(ticks) >= 2
    assert not [x for x in axes.get_xticklabels(minor=True) if x.get_text()]
    texts = axes.get_legend().get_texts()
    assert [name in t.get_text() for name, t in zip(reversed(names), texts, strict=True)] == [
        True
    ] * len(names), "the most accurate first"
    boxes = [t.get_window_extent() for t in (*ticks, *texts)]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    frame = axes.get_window_extent()
    assert not any(t.get_window_extent().overlaps(frame) for t in texts), "beside the points"
    plots.plt.close(figure)


def test_five_classes_are_evaluated_as_such(five, tmp_path, faces_csv, capsys):
    out = tmp_path / "report"
    assert evaluating(five, "--data", faces_csv, "--out", out) == 0
    (report,) = json.loads((out / "report.json").read_text()).values()
    assert list(report["per_class"]) == list(FIVE_CLASSES)
    assert report["faces"] == 50
    capsys.readouterr()
    assert evaluating(five, "--data", faces_csv, "--classes", 7) == 2
    assert "neutral), the data 7 (angry, disgust, fear" in capsys.readouterr().err
    three = tmp_path / "three.keras"
    build("fastfer", 3).save(three)
    assert evaluating(three, "--data", faces_csv) == 2
    assert "three.keras knows 3 classes (0, 1, 2), the data 7 (angry" in capsys.readouterr().err


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
    assert evaluating(run, "--data", faces_csv, "--out", text) == 1
    assert f"{text}" in capsys.readouterr().err
    assert evaluating(run, "--data", faces_csv, "--split", "PrivateTest") == 2
    assert "no split 'PrivateTest'" in capsys.readouterr().err


def test_measures_on_what_the_data_has_to_validate_on(run, tmp_path, parts, capsys):
    for name in ("validation", "test"):
        data = tmp_path / name
        write_folders(data, {"train": parts["Training"], name: parts["PublicTest"]}, ".png")
        assert evaluating(run, "--data", data, "--out", tmp_path / "report") == 0
        assert f"Measured on {name} (70 faces)." in capsys.readouterr().out


def test_measures_on_the_faces_that_a_run_held_out(run, tmp_path, parts, capsys):
    data = write_folders(tmp_path / "data", {"train": parts["Training"]}, ".png")
    out = tmp_path / "report"
    assert evaluating(run, "--data", data) == 2
    said = capsys.readouterr().err
    assert "no validation split; it has train" in said
    assert "--val-fraction" in said
    words = ["--data", data, "--val-fraction", 0.2, "--seed", 3]
    assert evaluating(run, *words, "--out", out) == 0
    assert "Measured on 0.2 of the training faces, held out (42 faces)." in capsys.readouterr().out
    (report,) = json.loads((out / "report.json").read_text()).values()
    held = load_dataset(data).training_and_validation(0.2, 3)[1]
    faces = held.load(np.arange(42)).astype(np.float32)[..., None] / 255
    hits = load_predictor(run).predict(faces).argmax(axis=1) == held.labels
    assert report["accuracy"] == pytest.approx(hits.mean())
    assert evaluating(run, *words, "--split", "train") == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_an_empty_split_is_told(run, tmp_path):
    faces, labels = draw_faces(7)
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": (faces, labels)}))
    folder = tmp_path / "data" / "test"
    folder.mkdir(parents=True)
    write_folders(tmp_path / "data", {"train": (faces, labels)}, ".png")
    with pytest.raises(InputError, match="'test' holds no faces"):
        load_dataset(tmp_path / "data").split("test")
