"""The attribute network made from one with more channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastfer.errors import ModelError, UsageError
from training.attributes import prune
from training.attributes.fairface import Faces
from training.attributes.network import INNER, WIDTH, build, load
from training.expression.face_sources import as_batch


def test_channels_that_nothing_reads_are_dropped_without_a_change(
    attribute_faces: Path, tmp_path: Path
) -> None:
    large = build(inner=WIDTH)
    rng = np.random.default_rng(0)
    pointless = rng.choice(WIDTH, WIDTH - INNER, replace=False)
    for layer in large.layers:
        if layer.weights and layer.weights[0].shape[:3] == (3, 3, WIDTH):
            kernel, *others = layer.get_weights()
            kernel[:, :, pointless] = 0
            layer.set_weights([kernel, *others])
    large.save(tmp_path / "large.keras")
    out = tmp_path / "new" / "small.keras"
    words = [str(tmp_path / "large.keras"), "--data", str(attribute_faces), "--out", str(out)]
    assert prune.main(words) == 0
    small = load(out)
    assert small.count_params() == build().count_params() < large.count_params()
    faces = as_batch(Faces.read(attribute_faces, "val").pixels[:32])
    before, after = (net.predict(faces, verbose=0) for net in (large, small))
    for name, logits in before.items():
        np.testing.assert_allclose(after[name], logits, atol=0.02)


def test_refused(attribute_run: Path, attribute_faces: Path, tmp_path: Path, capsys) -> None:
    data = ["--data", str(attribute_faces)]
    wrong_name = [str(attribute_run), *data, "--out", str(tmp_path / "a.onnx")]
    assert prune.main(wrong_name) == UsageError.exit_code
    (tmp_path / "none.keras").write_text("no network")
    words = [str(tmp_path / "none.keras"), *data, "--out", str(tmp_path / "b.keras")]
    assert prune.main(words) == ModelError.exit_code
    assert capsys.readouterr().err.count("\n") == 2
