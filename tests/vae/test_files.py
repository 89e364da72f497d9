"""Files that are the old one or the new one, and that notice when they were damaged."""

from __future__ import annotations

import builtins
import errno
import json
import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st

from vae import files
from vae.files import DamagedFile

TENSORS = {
    "weight": torch.arange(12.0).reshape(3, 4) - 5,
    "bias": torch.tensor([True, False]),
    "step": torch.tensor(7.0),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "none": torch.empty(0, 4),
    "bytes": torch.arange(200, dtype=torch.uint8),
}
NOTES = {"epoch": "3", "step": "0", "name": "β “quoted”\n"}
OPEN = builtins.open
PROFILE = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A good file's bytes, and a place to put damaged ones."""
    folder = tmp_path_factory.mktemp("tensors")
    files.write_tensors(folder / "good.safetensors", TENSORS, NOTES)
    return folder / "damaged.safetensors", (folder / "good.safetensors").read_bytes()


def same(found: tuple[dict[str, torch.Tensor], dict[str, str]]) -> bool:
    tensors, notes = found
    return (
        notes == NOTES
        and set(tensors) == set(TENSORS)
        and all(
            torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype
            for name, tensor in TENSORS.items()
        )
    )


def original_or_refused(path: Path, content: bytes) -> str:
    """Reads content as tensors; anything but the original or DamagedFile is an error."""
    path.write_bytes(content)
    try:
        found = files.read_tensors(path)
    except DamagedFile as error:
        assert str(error).endswith(".") and path.name in str(error)
        return "refused"
    assert same(found)
    return "original"


def test_tensors_survive_the_disk(tmp_path):
    path = tmp_path / "w.safetensors"
    files.write_tensors(path, TENSORS, NOTES)
    assert same(files.read_tensors(path))
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_tensors_that_are_views_survive_the_disk(tmp_path):
    whole = torch.arange(6.0).reshape(2, 3)
    views = {"first": whole[0], "second": whole[1], "turned": whole.T}
    files.write_tensors(tmp_path / "w", views, {})
    tensors, _ = files.read_tensors(tmp_path / "w")
    assert all(torch.equal(tensors[name], view) for name, view in views.items())


def test_a_flipped_bit_is_noticed_wherever_it_is(written):
    path, content = written
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 3  # in the header: another letter, digit or sign
        assert original_or_refused(path, bytes(damaged)) == "refused"


@PROFILE
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte(written, place, byte):
    path, content = written
    damaged = bytearray(content)
    damaged[place % len(content)] = byte
    original_or_refused(path, bytes(damaged))


@PROFILE
@given(length=st.integers(0, 10_000))
def test_a_truncated_file(written, length):
    path, content = written
    length %= len(content)
    assert original_or_refused(path, content[:length]) == "refused"


@PROFILE
@given(tail=st.binary(min_size=1, max_size=50))
def test_an_extended_file(written, tail):
    path, content = written
    assert original_or_refused(path, content + tail) == "refused"


@PROFILE
@given(content=st.binary(max_size=100), length=st.integers(0, 2**64 - 1))
def test_noise(written, content, length):
    assert original_or_refused(written[0], content) == "refused"
    assert original_or_refused(written[0], struct.pack("<Q", length) + content) == "refused"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(0.5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F64", "BOOL", "C64", "F4", "U64", "x"]) | JSON,
        "shape": st.lists(st.integers(-1, 2**63), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=2) | JSON,
    },
)
HEADER = st.fixed_dictionaries(
    {},
    optional={
        "__metadata__": st.dictionaries(st.sampled_from(["sha256", "epoch"]), st.text()) | JSON,
        "w": ENTRY | JSON,
    },
)


@PROFILE
@given(header=HEADER, data=st.binary(max_size=24))
def test_a_header_that_somebody_made_up(written, header, data):
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + data
    assert original_or_refused(written[0], content) == "refused"


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F8_E8M0", "C64", "U64", "I128", "BF16"])
@pytest.mark.parametrize("shape", [[], [0], [8], [2, 4]])
def test_types_that_pytorch_may_not_know(written, dtype, shape):
    metadata = {"sha256": "0" * 64}
    for size in (0, 4, 6, 8, 16, 64):
        entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
        text = json.dumps({"__metadata__": metadata, "w": entry}).encode()
        content = struct.pack("<Q", len(text)) + text + bytes(size)
        assert original_or_refused(written[0], content) == "refused"


@pytest.mark.parametrize(
    "header",
    [b"[" * 100_000, b'{"a":' * 100_000, b"{}", b"null", b'{"__metadata__": "x"}', b"\xff\xfe"],
    ids=lambda header: ascii(header[:6]),
)
def test_deep_and_foreign_headers(written, header):
    content = struct.pack("<Q", len(header)) + header
    assert original_or_refused(written[0], content) == "refused"


def test_a_missing_file_is_not_a_damaged_one(tmp_path):
    for read in (files.read_tensors, files.read_json):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "nothing")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1]", b"3", b"null", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"{} x"],
    ids=lambda text: ascii(text[:6]),
)
def test_json_that_is_none(tmp_path, text):
    path = tmp_path / "status.json"
    path.write_bytes(text)
    with pytest.raises(DamagedFile, match=r"status\.json is damaged"):
        files.read_json(path)


def test_json_survives_the_disk(tmp_path):
    value = {"name": "β", "list": [1, 2.5, None]}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value


class Torn:
    """A file on a disk that is full after three bytes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, content: bytes) -> None:
        self.file.write(content[:3])
        self.file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")


def break_step(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    """Lets one step of a write fail."""

    def fail(*_: object) -> None:
        raise error

    if step == "open":
        monkeypatch.setattr(files, "open", fail, raising=False)
    elif step == "write":
        monkeypatch.setattr(files, "open", lambda *args: Torn(OPEN(*args)), raising=False)
    else:
        monkeypatch.setattr(os, step, fail)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, step, exists, error
):
    path = tmp_path / "status.json"
    if exists:
        path.write_bytes(b"old")
    break_step(monkeypatch, step, error)
    with pytest.raises((OSError, KeyboardInterrupt)):
        files.write_bytes(path, b"new and longer")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["status.json"] if exists else [])
    if exists:
        assert path.read_bytes() == b"old"


def test_a_full_disk_is_told_apart(tmp_path, monkeypatch):
    path = tmp_path / "w"
    files.write_tensors(path, TENSORS, NOTES)
    break_step(monkeypatch, "write", OSError())
    with pytest.raises(OSError) as caught:
        files.write_tensors(path, {"w": torch.zeros(3)}, {})
    monkeypatch.undo()
    assert "disk is full" in files.explain_os_error(caught.value)
    assert same(files.read_tensors(path)) and [p.name for p in tmp_path.iterdir()] == ["w"]


def test_a_folder_that_was_deleted(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_bytes(tmp_path / "gone" / "file", b"x")


def test_content_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    order = []
    for step in ("fsync", "replace"):
        real = getattr(os, step)
        monkeypatch.setattr(
            os, step, lambda *args, real=real, step=step: (order.append(step), real(*args))
        )
    files.write_bytes(tmp_path / "a", b"x")
    assert order == ["fsync", "replace", "fsync"]  # the file, its name, the folder
    order.clear()
    files.write_bytes(tmp_path / "a", b"y", durable=False)
    assert order == ["replace"]


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path):
    path, errors = tmp_path / "status.json", []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                files.write_bytes(path, bytes([number]) * 5_000, durable=False)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert not errors and len(content) == 5_000 and len(set(content)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space"), "disk is full"),
        (PermissionError(errno.EACCES, "denied", "/runs/a"), "/runs/a"),
        (OSError(errno.EROFS, "Read-only file system"), "may not be written"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_trouble_with_files_is_one_sentence(error, said):
    sentence = files.explain_os_error(error)
    assert said in sentence and sentence.endswith(".")
