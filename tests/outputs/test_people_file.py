"""The people of a video in a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from fastfer.errors import OutputError
from fastfer.outputs.people import PeopleCollector
from fastfer.outputs.people_file import PeopleFile
from tests.helpers.clips import portrait
from tests.helpers.errors import raises
from tests.helpers.results import episode, write_all


def test_the_file_holds_what_was_collected(tmp_path: Path) -> None:
    collector = PeopleCollector(0.1)
    write_all(collector, episode(), portrait())
    file = tmp_path / "people.json"
    output = PeopleFile(file, 0.1)
    assert output.needs_image
    write_all(output, episode(), portrait())
    assert json.loads(file.read_bytes()) == json.loads(json.dumps(collector.data()))
    assert [person["id"] for person in collector.data()["people"]] == [1, 2]
    assert list(tmp_path.iterdir()) == [file]  # No temporary file.


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    output = PeopleFile(tmp_path / "none" / "people.json", 0.1)
    with raises(OutputError, "output_failed", "people.json"):
        output.close()
