"""Geometry of the face mesh; the network runs where FASTFER_FACE_MESH names its file."""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.errors import InputError, ModelError
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut
from training.detector import face_mesh
from training.detector.face_mesh import Crop, FaceMesh, Region


def test_the_matrix_of_a_crop_maps_its_corners():
    crop = Crop((50.0, 40.0), 20.0, math.pi / 2)
    matrix = crop.matrix(10)
    corners = np.array([[0, 0], [10, 0], [5, 5]]) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(corners, [[60, 30], [60, 50], [50, 40]], atol=1e-9)


def test_the_crop_of_a_box_follows_the_eyes():
    landmarks = np.array([[10.0, 10], [20, 20], [0, 0], [0, 0], [0, 0]])
    crop = face_mesh.crop_of_box(np.array([0.0, 0, 30, 40]), landmarks)
    assert crop.center == (15, 20)
    assert crop.side == pytest.approx(60)
    assert crop.angle == pytest.approx(math.pi / 4)


@pytest.mark.parametrize("degrees", [0, 30, -70])
def test_the_crop_of_a_mesh_is_its_rotated_bounding_square(degrees):
    angle = math.radians(degrees)
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    mesh = np.random.default_rng(0).uniform(-10, 10, (face_mesh.MESH_POINTS, 2))
    mesh[:4] = [[-10, -20], [10, 20], [-10, 20], [10, -20]]
    mesh[[face_mesh.RIGHT_EYE[0], face_mesh.LEFT_EYE[0]]] = [[-5, -5], [5, -5]]
    crop = face_mesh.crop_of_mesh(mesh @ axes + [100, 50])
    np.testing.assert_allclose(crop.center, [100, 50], atol=1e-9)
    assert crop.side == pytest.approx(40 * face_mesh.MARGIN)
    assert crop.angle == pytest.approx(angle)


def test_five_landmarks_of_a_mesh():
    mesh = np.zeros((face_mesh.MESH_POINTS, 2))
    mesh[list(face_mesh.RIGHT_EYE)] = np.arange(32).reshape(16, 2)
    mesh[list(face_mesh.LEFT_EYE), 0] = 8
    mesh[[4, 61, 291], 1] = [1, 2, 3]
    expected = [[15, 16], [8, 0], [0, 1], [0, 2], [0, 3]]
    np.testing.assert_allclose(face_mesh.five_landmarks(mesh), expected)


def test_a_region_samples_its_part_of_the_feature_map():
    """A level region of cells 10 to 26 at scale 1 is copied; what lies outside is 0."""
    features = np.random.default_rng(0).random((48, 48, 3), np.float32)
    points = np.zeros((face_mesh.MESH_POINTS, 3), np.float32)
    points[:2, :2] = [[10, 18], [26, 18]]
    points[2:4, :2] = [[18, 10], [18, 26]]
    region = Region((0, 1, 2, 3), 0, 1, (1.0, 1.0), 16)
    crop = face_mesh.sample_region(features, region.matrix(points), 16)
    np.testing.assert_allclose(crop, features[10:26, 10:26], atol=1e-5)
    points[:4, 0] -= 18
    crop = face_mesh.sample_region(features, region.matrix(points), 16)
    assert (crop[:, :8] == 0).all()
    np.testing.assert_allclose(crop[:, 8:], features[10:26, :8], atol=1e-5)


def test_other_files_are_refused(tmp_path):
    with raises(InputError, "unreadable_input"):
        FaceMesh(tmp_path / "none.tflite")
    (tmp_path / "bad.tflite").write_bytes(b"no network")
    with raises(ModelError, "invalid_model"):
        FaceMesh(tmp_path / "bad.tflite")


@pytest.mark.skipif("FASTFER_FACE_MESH" not in os.environ, reason="FASTFER_FACE_MESH is not set")
def test_landmarks_of_a_portrait_follow_its_mirror_image():
    mesh = FaceMesh(Path(os.environ["FASTFER_FACE_MESH"]))
    picture = astronaut()
    box = np.array([175.0, 65, 100, 125])
    start = np.array([[204.0, 102], [247, 104], [223, 127], [202, 139], [246, 141]])
    found = mesh.landmarks(picture, box, start)
    assert np.linalg.norm(found - start, axis=1).max() < 3
    width = picture.shape[1]
    mirrored = start[[1, 0, 2, 4, 3]] * [-1, 1] + [width, 0]
    other = mesh.landmarks(cv2.flip(picture, 1), np.array([width - 275.0, 65, 100, 125]), mirrored)
    np.testing.assert_allclose(other[[1, 0, 2, 4, 3]] * [-1, 1] + [width, 0], found, atol=2)
