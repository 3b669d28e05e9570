"""Sources: what folders, patterns, lists, archives and URLs name, and bad input among them."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.sources import Sources
from fastfer.batch.units import Unit
from fastfer.errors import InputError
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from tests.helpers.archives import write_tar
from tests.helpers.batch_jobs import photo
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix


def units(*sources: object, **options: Any) -> list[Unit]:
    return list(Sources([str(source) for source in sources], **options))


def names(found: Sequence[Unit], folder: Path) -> list[str]:
    return [unit.source.removeprefix(f"{folder}/") for unit in found]


def problems(found: Sequence[Unit]) -> list[str]:
    return [unit.error[1] for unit in found if unit.error is not None]


@pytest.fixture
def jpeg(tmp_path: Path) -> bytes:
    return photo(tmp_path / "elsewhere" / "x.jpg").read_bytes()


def test_folders_and_kinds(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a/1.PNG", "a/clip.mp4", "a/.hidden.jpg", "a/notes.txt", "c/d/e.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = units(tmp_path)
    assert names(found, tmp_path) == ["a/1.PNG", "a/clip.mp4", "b/2.jpg", "c/d/e.webp"]
    assert [unit.kind for unit in found] == ["photo", "video", "photo", "photo"]
    assert names(units(f"{tmp_path}/*/*.jpg"), tmp_path) == ["b/2.jpg"]
    assert [u.partition for u in units(tmp_path / "b", partition_by="folder")] == [f"{tmp_path}/b"]
    os.utime(tmp_path / "b/2.jpg", (0, 86_400))
    assert [u.partition for u in units(tmp_path / "b", partition_by="date")] == ["1970-01-02"]


def test_sources_that_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = units("", tmp_path / "*.jpg", tmp_path / "empty", tmp_path / "none.tar")
    assert problems(found) == ["not_found", "no_match", "no_pictures", "not_found"]
    (missing,) = units(tmp_path / "none.jpg")
    with raises(InputError, "not_found"):
        missing.read(DEFAULT_LIMITS)


@pytest.mark.parametrize(("by", "expected"), [("folder", "here"), ("date", "1970-01-02")])
def test_what_cannot_be_read_has_a_partition(by: Any, expected: str, tmp_path: Path) -> None:
    """An empty value is none that readers of partitions know."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "damaged.tar").write_bytes(b"no archive")
    os.utime(folder / "damaged.tar", (0, 86_400))
    (damaged,) = units(folder, partition_by=by)
    assert problems([damaged]) == ["damaged"]
    assert Path(damaged.partition).name == expected
    missing = units("", folder / "none.tar", folder / "*.png", partition_by=by)
    assert len(missing) == 3
    assert all(unit.partition for unit in missing)


@pytest.mark.parametrize("sources", [("in/**",), ("in", "in/*"), ("in", "in/1.jpg", "in/a.tar")])
def test_a_file_of_a_folder_that_was_read_is_not_named_twice(
    sources: Sequence[str], tmp_path: Path, jpeg: bytes
) -> None:
    for name in ("1.jpg", "deep/2.jpg", "x.heic", ".hidden.jpg", "odd.dat"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(jpeg)
    with tarfile.open(tmp_path / "in" / "a.tar", "w") as archive:
        archive.add(tmp_path / "in" / "1.jpg", "3.jpg")
    found = Sources([f"{tmp_path}/{source}" for source in sources])
    expected = ["in/1.jpg", "in/a.tar/3.jpg", "in/deep/2.jpg"]
    assert sorted(names(list(found), tmp_path)) == expected
    assert found.skipped == {".heic": 1}
    # What the folder passes over can still be named.
    more = [tmp_path / "in" / ".hidden.jpg", tmp_path / "in" / "odd.dat"]
    assert names(units(tmp_path / "in", *more), tmp_path)[3:] == ["in/.hidden.jpg", "in/odd.dat"]


@requires_posix
def test_loops_of_symbolic_links_end(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "1.jpg")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "itself.jpg").symlink_to(tmp_path / "in" / "itself.jpg")
    (tmp_path / "in" / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = units(tmp_path / "in")
    assert names(found, tmp_path / "in") == ["1.jpg", "broken.jpg", "itself.jpg"]
    for unit, code in zip(found[1:], ("not_found", "unreadable_input"), strict=True):
        with raises(InputError, code):
            unit.read(DEFAULT_LIMITS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xe9.jpg"
    os.rename(photo(tmp_path / "1.jpg"), name)  # noqa: PTH104
    listing = tmp_path / "list"
    listing.write_bytes(name + b"\r\n\n")
    for found in (units(tmp_path / "*.jpg"), units(lists=[str(listing)])):
        (unit,) = found
        assert unit.read(DEFAULT_LIMITS).header.width == 96
        assert len(unit.key) == 16


def test_tar_and_zip_in_place(tmp_path: Path, jpeg: bytes) -> None:
    for name, mode in {"a.tar": "w", "b.tar.gz": "w:gz"}.items():
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            for member in ("000.jpg", "000.json", "001.jpg", "000.jpg"):
                info = tarfile.TarInfo(member)
                info.size = len(jpeg)
                archive.addfile(info, io.BytesIO(jpeg))
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/000.jpg", jpeg)
    found = units(tmp_path / "a.tar", tmp_path / "b.tar.gz", tmp_path / "c.zip")
    assert names(found, tmp_path) == [
        *(f"a.tar/{member}" for member in ("000.jpg", "001.jpg", "000.jpg#2")),
        *(f"b.tar.gz/{member}" for member in ("000.jpg", "001.jpg", "000.jpg#2")),
        "c.zip/in/000.jpg",
    ]
    for unit in [*found, found[3]]:  # Back to the start of the compressed one.
        assert unit.read(DEFAULT_LIMITS).data == jpeg
    with raises(InputError, "too_many_bytes"):
        found[-1].read(FileLimits(bytes=100))
    with found[0].as_file(DEFAULT_LIMITS) as path:
        assert Path(path).read_bytes() == jpeg


def test_damaged_archives(tmp_path: Path, jpeg: bytes) -> None:
    with tarfile.open(tmp_path / "cut.tar", "w") as archive:
        for i in range(3):
            info = tarfile.TarInfo(f"{i}.jpg")
            info.size = len(jpeg)
            archive.addfile(info, io.BytesIO(jpeg))
    whole = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2 // 512 * 512])
    (tmp_path / "not.zip").write_bytes(b"no archive" * 100)
    (tmp_path / "not.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "empty.tar").touch()
    found = units(*(tmp_path / name for name in ("cut.tar", "not.zip", "not.tar", "empty.tar")))
    assert problems(found)[-3:] == ["damaged", "damaged", "empty_file"]
    members = [unit for unit in found if unit.kind == "photo"]
    assert members
    assert members[0].read(DEFAULT_LIMITS).data == jpeg
    readable = 0
    for unit in members:
        try:
            unit.read(DEFAULT_LIMITS)
            readable += 1
        except InputError as error:
            assert error.code == "truncated"  # noqa: PT017
    assert readable < 3
    assert "truncated" in problems(found) or readable < len(members)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("left", [0, 200, 512])
def test_a_tar_without_its_end_has_a_row(tmp_path: Path, jpeg: bytes, mode: str, left: int) -> None:
    """Cut between two members, inside a header, or followed by what is no header."""
    member = tarfile.TarInfo("1.jpg")
    member.size = len(jpeg)
    data = member.tobuf() + jpeg + bytes(-len(jpeg) % 512)
    path = tmp_path / ("a.tar" if mode == "w" else "a.tar.gz")
    end = b"x" * left
    path.write_bytes(data + end if mode == "w" else gzip.compress(data + end))
    photo_unit, problem = units(path)
    assert photo_unit.read(DEFAULT_LIMITS).data == jpeg
    assert problem.error is not None
    assert problem.error[1] == "truncated"
    assert problem.source == str(path)
    path.write_bytes(data + bytes(1024) if mode == "w" else gzip.compress(data + bytes(1024)))
    assert not problems(units(path))


def test_encrypted_members(tmp_path: Path, jpeg: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.jpg", jpeg)
        archive.writestr("2.jpg", jpeg)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        struct.pack_into("<H", data, at, 1)
    (tmp_path / "a.zip").write_bytes(bytes(data))
    found = units(tmp_path / "a.zip")
    assert problems(found) == ["encrypted"]
    assert found[1].read(DEFAULT_LIMITS).data == jpeg


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds to RLIMIT_AS")
def test_an_archive_for_which_memory_is_short(tmp_path: Path) -> None:
    """Its central directory of half a gigabyte is read whole; the next source goes on."""
    photo(tmp_path / "1.jpg")
    size = 512 << 20
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0)
    with (tmp_path / "a.zip").open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(end)
    code = (
        "import resource, sys\n"
        "from fastfer.batch.sources import Sources\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20,) * 2)\n"
        "print([(u.kind, (u.error or ('', ''))[1]) for u in Sources(sys.argv[1:])])"
    )
    paths = [str(tmp_path / name) for name in ("a.zip", "1.jpg")]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths],
        capture_output=True, text=True, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.strip() == "[('nothing', 'too_much_memory'), ('photo', '')]"


@pytest.mark.parametrize("named", ["in", "in/*", "in/t.tar.gz"])
def test_counting_unpacks_nothing(
    named: str, tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jpg").write_bytes(jpeg)
    with tarfile.open(tmp_path / "in" / "t.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "in" / "1.jpg", "2.jpg")

    def unpack(_: str) -> None:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr("fastfer.io.archives.listing.PackedTar", unpack)
    assert Sources([f"{tmp_path}/{named}"]).count() is None


def test_lists_and_shards(tmp_path: Path) -> None:
    for i in range(40):
        photo(tmp_path / f"{i}.jpg")
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{tmp_path}/{i}.jpg\n" for i in range(40)))
    sources = Sources([], [str(listing)])
    assert sources.count() == len(list(sources)) == 40
    parts = [units(tmp_path, shard=(i, 3)) for i in (1, 2, 3)]
    assert sum(map(len, parts)) == 40
    assert len({unit.key for part in parts for unit in part}) == 40
    assert min(map(len, parts)) > 4
    with raises(InputError, "not_found"):
        Sources([], [str(tmp_path / "none")])


def test_object_stores(tmp_path: Path, jpeg: bytes) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for name in ("/photos/a/1.jpg", "/photos/2.jpg", "/photos/clip.mp4", "/photos/x.txt"):
        store.pipe_file(name, jpeg)
    try:
        found = units("memory://photos")
        assert [unit.kind for unit in found] == ["photo", "photo", "video"]
        assert found[0].read(DEFAULT_LIMITS).data == jpeg
        with found[2].as_file(DEFAULT_LIMITS) as path:
            assert Path(path).read_bytes() == jpeg
        few = FileLimits(bytes=len(jpeg) - 1)
        with raises(InputError, "too_many_bytes"), found[2].as_file(few):
            pass
        assert len(units("memory://photos/**/*.jpg")) >= 1
        (gone,) = units("memory://photos/gone.jpg")
        with raises(InputError, "not_found"):
            gone.read(DEFAULT_LIMITS)
        assert problems(units("memory://nothing/*.jpg")) == ["no_match"]
    finally:
        store.rm("/photos", recursive=True)


def test_a_member_that_is_too_large_is_its_own_error(tmp_path: Path, jpeg: bytes) -> None:
    members = ("big.bin", 3 << 20), ("a.jpg", jpeg), ("b.mp4", 3 << 20), ("c.jpg", jpeg)
    path = write_tar(tmp_path / "a.tar.gz", *members)
    limits = FileLimits(bytes=2 << 20)
    found = list(Sources([str(path)], limits=limits))
    assert [unit.source.removeprefix(f"{path}/") for unit in found] == [n for n, _ in members]
    for unit in found[::2]:
        with raises(InputError, "too_many_bytes"):
            unit.read(limits)
    signs: list[None] = []
    for unit in found[1::2]:
        assert unit.read(limits, lambda: signs.append(None)).data == jpeg
    assert len(signs) > 100  # The time before a photo is not without progress.


@pytest.mark.parametrize("name", ["notes.txt", "a.mp4"])
def test_an_archive_of_much_that_is_not_read(name: str, tmp_path: Path, jpeg: bytes) -> None:
    members: list[tuple[str, Any]] = [("a.jpg", jpeg), *[(name, 3 << 20)] * 8, ("b.jpg", jpeg)]
    path = write_tar(tmp_path / "a.tar.gz", *members)
    last = list(Sources([str(path)], limits=FileLimits(bytes=2 << 20)))[-1]
    assert last.error is not None
    assert (last.source, last.error[1]) == (str(path), "too_many_bytes")
    assert list(Sources([str(path)]))[-1].error is None


def test_a_list_with_an_endless_line_is_one_error(tmp_path: Path) -> None:
    with (tmp_path / "list").open("wb") as file:
        file.write(b"a.jpg\n")
        file.truncate(1 << 20)
    (tmp_path / "other").write_text("b.jpg")
    found = list(Sources([], [str(tmp_path / "list"), str(tmp_path / "other")]))
    assert [unit.source for unit in found] == ["a.jpg", str(tmp_path / "list"), "b.jpg"]
    assert problems(found) == ["unreadable_input"]
