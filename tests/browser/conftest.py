"""A browser, pages in it, and servers for it: what every browser test uses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import FLAGS, find

ROOT = Path(__file__).resolve().parents[2]

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


class Server(NamedTuple):
    """A running app: its address, its process and where its log is written."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the session: the one on the PATH, else Playwright's own."""
    path = find()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with no history, in a window of 1280 × 900."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start apps with ``serve(app_path, env)``; all of them end with the test file."""
    servers: list[Server] = []

    def start(app_path: Path, env: dict[str, str] | None = None, wait: float = 60.0) -> Server:
        log = tmp_path_factory.mktemp("serve") / "log.txt"
        server = _start(app_path, env or {}, log)
        servers.append(server)
        _wait_until_ready(server, wait)
        return server

    yield start
    for server in servers:
        end(server.process)


def _start(app_path: Path, env: dict[str, str], log: Path) -> Server:
    """Run Streamlit on a free loopback port."""
    port = _free_port()
    options = {
        "server.headless": "true",
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(app_path)]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    return Server(f"http://127.0.0.1:{port}", process, log)


def _free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(server: Server, wait: float) -> None:
    """Return when the server says it is healthy; fail with its log if it does not."""
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    log = server.log.read_text(errors="replace")
    pytest.fail(f"the app did not become ready within {wait} s\n{log[-4000:]}")


def end(process: subprocess.Popen[bytes], patience: float = 8.0) -> None:
    """End a server and every process below it, kindly first."""
    try:
        family = [psutil.Process(process.pid)]
        family += family[0].children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=patience)
    for member in alive:
        member.kill()
    process.wait(timeout=patience)
