"""Sets that torchvision fetches: reading what is there, and downloads that fail in every way."""

from __future__ import annotations

import gc
import gzip
import hashlib
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vae import data, downloads, torchvision_remedy
from vae.config import DATA_SHAPES, DOWNLOADED


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in MNIST's file format."""
    header = np.array([0x800 + array.ndim, *array.shape], ">i4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def small_files(name: str, first_label: int = 0) -> dict[str, bytes]:
    """Four whole files of a set, by name: 40 training images, 20 held out."""
    random = np.random.default_rng(0)
    files = {}
    for (path, dimensions), n in zip(downloads._paths(name, Path()), (40, 40, 20, 20), strict=True):
        values = random.integers(0, 256, (n, 28, 28)) if dimensions == 3 else np.arange(n) % 10
        files[path.name] = idx(values if dimensions == 3 else values + first_label)
    return files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty root for the fetched sets."""
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def put(folder: Path, name: str, **options) -> Path:
    """Writes small whole files of a set where torchvision would; returns their folder."""
    raw = folder / downloads.FILES[name].folder / "raw"
    raw.mkdir(parents=True)
    for file, content in small_files(name, **options).items():
        (raw / file).write_bytes(content)
    return raw


@pytest.mark.parametrize("name", DOWNLOADED)
def test_files_that_are_there_are_read_and_nothing_is_written(name, folder):
    assert not data.available(name)
    raw = put(folder, name, first_label=1 if name == "emnist-letters" else 0)
    before = sorted(folder.rglob("*"))
    assert data.available(name) and data.ensure(name) == (name, None)
    loaded = data.load(name)
    assert loaded.train.shape == (40, *DATA_SHAPES[name])
    assert loaded.held_out.shape == (20, *DATA_SHAPES[name])
    assert (loaded.train_labels == np.arange(40) % 10).all()
    image = np.frombuffer(next(raw.glob("*train-images*")).read_bytes()[16:800], np.uint8)
    upright = image.reshape(28, 28).T if name == "emnist-letters" else image.reshape(28, 28)
    assert (loaded.train[0, 0] == upright).all()
    assert loaded.train.flags.c_contiguous
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x03", None], ids=["empty", "torn", "short"])
def test_a_damaged_file_is_named(folder, content):
    file = put(folder, "mnist") / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1] if content is None else content)
    assert not data.available("mnist")
    with pytest.raises(data.DataError, match=r"t10k-images-idx3-ubyte is damaged: delete it"):
        data.load("mnist")


def test_files_that_do_not_belong_together(folder):
    raw = put(folder, "mnist")
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(39) % 10))
    with pytest.raises(data.DataError, match="do not belong together"):
        data.load("mnist")


def test_a_missing_set_says_what_to_do(folder):
    with pytest.raises(data.DataError, match=r"kmnist is not on this machine .* set VAE_DATA"):
        data.load("kmnist")


def test_a_folder_in_the_place_of_a_file(folder):
    (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").mkdir(parents=True)
    with pytest.raises(data.DataError, match="cannot be read"):
        data.load("mnist")


# Downloads


class Mirror(ThreadingHTTPServer):
    """A server on loopback that answers with these files; remembers what was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), MirrorHandler)
        self.files, self.asked, self.stall = files, [], threading.Event()
        self.stall.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class MirrorHandler(BaseHTTPRequestHandler):
    """Sends the first half of a file, then the rest unless it was told to stall."""

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if name not in self.server.files:
            self.send_error(404)
            return
        self.server.asked.append(name)
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content[: len(content) // 2])
            self.server.stall.wait(20)
            self.wfile.write(content[len(content) // 2 :])
        except ConnectionError:  # torchvision asks once for the address alone
            pass

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def mirror(folder, monkeypatch):
    """A mirror of a small KMNIST that torchvision takes for the real one."""
    torchvision_remedy.mend()
    from torchvision.datasets import KMNIST

    archives = {f"{file}.gz": gzip.compress(c) for file, c in small_files("kmnist").items()}
    sums = [(file, hashlib.md5(content).hexdigest()) for file, content in archives.items()]
    with Mirror(archives) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(KMNIST, "mirrors", [server.url])
        monkeypatch.setattr(KMNIST, "resources", sums)
        yield server
        server.stall.set()
        server.shutdown()


def left_over(folder: Path) -> list[str]:
    """Names in the root other than the lock of the downloads."""
    return [path.name for path in folder.iterdir() if path.name != ".download.lock"]


def test_a_download_arrives_and_reports(folder, mirror):
    reports = []
    assert data.ensure("kmnist", lambda *report: reports.append(report)) == ("kmnist", None)
    assert data.load("kmnist").train.shape == (40, 1, 28, 28)
    assert left_over(folder) == ["KMNIST"]
    done, total = zip(*reports, strict=True)
    assert list(done) == sorted(done) and set(total) == {done[-1]}


def test_a_damaged_file_is_fetched_again(folder, mirror):
    (put(folder, "kmnist") / "train-images-idx3-ubyte").write_bytes(b"half")
    data.fetch("kmnist")
    assert data.load("kmnist").train.shape == (40, 1, 28, 28)


def fails(reason: str, name: str = "kmnist") -> None:
    """Checks that a download fails for this reason, in one sentence, and the subset steps in."""
    with pytest.raises(data.DataError) as caught:
        data.fetch(name)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} could not be downloaded: ") and reason in sentence
    assert sentence.endswith(".") and "\n" not in sentence and not data.available(name)
    used, notice = data.ensure(name)
    assert used == "mnist-subset"
    assert notice == f"{sentence[:-1]}; the bundled MNIST subset is used instead."


def test_wrong_bytes(folder, mirror):
    mirror.files["t10k-labels-idx1-ubyte.gz"] = gzip.compress(b"something else")
    fails("does not match its checksum")
    assert left_over(folder) == []


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_file_the_server_does_not_have(folder, mirror):
    del mirror.files["train-labels-idx1-ubyte.gz"]
    fails("HTTP Error 404")
    gc.collect()  # urllib leaves the refusing answer open


def test_no_network(folder, mirror, monkeypatch):
    from torchvision.datasets import EMNIST, KMNIST

    monkeypatch.setattr(KMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(EMNIST, "url", "http://127.0.0.1:9/gzip.zip")
    fails("is there a network?")
    fails("is there a network?", "emnist-letters")


def test_a_server_that_stalls(folder, mirror, monkeypatch):
    mirror.stall.clear()
    monkeypatch.setattr(downloads, "PATIENCE", 0.3)
    fails("nothing arrived for")
    assert left_over(folder) == []


def test_a_full_disk(folder, mirror, monkeypatch):
    from torchvision.datasets import utils

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), "train-images-idx3-ubyte.gz")

    monkeypatch.setattr(utils, "_urlretrieve", full)
    fails("the disk is full")


def test_a_root_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "file" / "data"))
    fails("cannot be written")


def test_no_torchvision(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    fails("torchvision does not import")


def test_one_downloader_at_a_time(folder, mirror):
    mirror.stall.clear()
    workers = [threading.Thread(target=data.fetch, args=("kmnist",)) for _ in range(3)]
    for worker in workers:
        worker.start()
    time.sleep(0.5)
    mirror.stall.set()
    for worker in workers:
        worker.join()
    # torchvision asks for each file twice: once for its address, once for its bytes.
    assert sorted(mirror.asked) == sorted(2 * list(mirror.files))
    assert data.available("kmnist") and left_over(folder) == ["KMNIST"]


def test_what_a_killed_downloader_left_is_cleared(folder, mirror):
    (folder / ".download-killed" / "KMNIST" / "raw").mkdir(parents=True)
    data.fetch("kmnist")
    assert left_over(folder) == ["KMNIST"]
