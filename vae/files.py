"""Files that are either the old one or the new one, and that notice when they were damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor


class DamagedFile(Exception):
    """A file that does not hold what was written, in one sentence."""


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replaces a file in one step: a reader, or a crash, sees the old bytes or the new ones.

    Arguments:
        path: The file; its folder exists.
        content: What it shall hold.
        durable: Whether to wait until the disk has it; progress reports need not.

    Raises:
        OSError: If the disk is full or the folder may not be written; the old file stays.

    Source:
        The write, fsync, rename, fsync-the-folder order of POSIX.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note"
        >>> write_bytes(path, b"one")
        >>> path.read_bytes()
        b'one'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut (where the system can)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network disks that cannot
            raise
    finally:
        os.close(handle)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Writes a value as JSON, in one step."""
    write_bytes(path, (json.dumps(value, indent=1) + "\n").encode(), durable=durable)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; ``DamagedFile`` if it holds none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path.name} is damaged: it does not hold JSON.") from error
    if not isinstance(value, dict):
        raise DamagedFile(f"{path.name} is damaged: it does not hold a JSON object.")
    return value


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Writes tensors and notes with a checksum over both, in one step.

    Arguments:
        path: The file, named ``*.safetensors``.
        tensors: Named tensors on any device; stored contiguous, on the CPU.
        notes: Short texts that travel in the header, such as the epoch.

    Raises:
        OSError: If the disk is full or the folder may not be written; the old file stays.

    Source:
        The safetensors format, which by itself notices neither a flipped bit nor a crash.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "w.safetensors"
        >>> write_tensors(path, {"w": torch.ones(2)}, {"epoch": "3"})
        >>> read_tensors(path)
        ({'w': tensor([1., 1.])}, {'epoch': '3'})
    """
    stored = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    header = {**notes, "sha256": _digest(stored, notes)}
    write_bytes(path, safetensors.torch.save(stored, header))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads what ``write_tensors`` wrote, and checks it.

    Arguments:
        path: The file.

    Returns:
        The tensors, on the CPU, and the notes.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedFile: If it was truncated, changed, or is not of this kind.

    Source:
        See ``write_tensors``.

    Example:
        See ``write_tensors``.
    """
    content = path.read_bytes()
    try:
        (length,) = struct.unpack("<Q", content[:8])
        notes = dict(json.loads(content[8 : 8 + length])["__metadata__"])
        tensors = safetensors.torch.load(content)
        expected = notes.pop("sha256")
        intact = expected == _digest(tensors, notes)
    except (SafetensorError, ValueError, KeyError, TypeError, struct.error, RecursionError):
        intact = False
    if not intact:
        raise DamagedFile(f"{path.name} is damaged: its content does not match its checksum.")
    return tensors, notes


def _digest(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    """SHA-256 over notes, names, types, shapes and bytes, in sorted order."""
    digest = hashlib.sha256()
    for key in sorted(notes):
        digest.update(f"{key}={notes[key]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def explain_os_error(error: OSError) -> str:
    """One sentence for a person about a file that could not be written.

    Example:
        >>> explain_os_error(OSError(errno.ENOSPC, "No space left on device"))
        'The disk is full: free some space, then resume; what was saved before is intact.'
    """
    if error.errno == errno.ENOSPC:
        return "The disk is full: free some space, then resume; what was saved before is intact."
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        place = f" ({error.filename})" if error.filename else ""
        return f"The run folder may not be written{place}: check its permissions."
    return f"The file system answered: {error.strerror or error}."
