"""Reference pages and CONTRIBUTING.md agree with the code."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest

import fastfer
from fastfer.classifiers.contract import PREFIX, ModelContract
from fastfer.outputs.columns import JSON_KEYS
from fastfer.outputs.events import Event
from fastfer.results import Face
from tests.docs.samples import ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def page(name: str) -> str:
    """The text of a page of the documentation."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_public_name_is_documented() -> None:
    documented = set(re.findall(r"^::: fastfer\.(\w+)$", page("reference/api.md"), re.MULTILINE))
    assert documented == set(fastfer.__all__) - {"__version__"}


def test_schema_names_every_key() -> None:
    terms = set(re.findall(r"`(\w+)`", page("reference/schema.md")))
    for keys in (
        JSON_KEYS,
        [field.name for field in fields(Face)],
        [field.name for field in fields(Event)],
        fastfer.EMOTIONS,
    ):
        assert set(keys) <= terms


def test_the_glossary_has_the_words_of_a_face() -> None:
    words = re.findall(r"^(.+)\n:   ", page("reference/glossary.md"), re.MULTILINE)
    terms = {term for word in words for term in word.split(", ")}
    same = {"track_id": "track", "attributes": "attribute"}
    keys = [field.name for field in fields(Face)] + ["valence", "arousal"]
    assert {same.get(key, key.replace("_", " ")) for key in keys} <= terms


def test_the_glossary_is_in_alphabetical_order() -> None:
    words = re.findall(r"^(.+)\n:   ", page("reference/glossary.md"), re.MULTILINE)
    assert words == sorted(words, key=str.casefold)
    assert len(words) == len(set(words))


def test_model_metadata_names_every_key() -> None:
    documented = set(re.findall(r"`fastfer\.(\w+)`", page("reference/model-metadata.md")))
    assert documented == {field.name for field in fields(ModelContract)}
    assert PREFIX == "fastfer."


def test_contributing_shows_the_layers_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    block = re.search(r"```text\n(fastfer.*?)```", CONTRIBUTING, re.DOTALL)
    assert block is not None
    shown = [re.match(r"fastfer\.\S+( \| fastfer\.\S+)*", line) for line in block[1].splitlines()]
    assert [match and match[0] for match in shown] == layers


@pytest.mark.parametrize("heading", ["Life of a photo", "Life of a frame"])
def test_the_files_of_a_walk_exist(heading: str) -> None:
    walk = CONTRIBUTING.split(f"## {heading}")[1].split("\n## ")[0]
    folder = ROOT
    for name in re.findall(r"`((?:\w+/)*\w+\.(?:py|c))`", walk):
        candidates = [ROOT / name, ROOT / "fastfer" / name, folder / name]
        found = next((path for path in candidates if path.is_file()), None)
        assert found is not None, name
        folder = found.parent


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
