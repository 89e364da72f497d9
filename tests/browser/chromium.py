"""A browser for the browser tests: `python -m tests.browser.chromium` makes sure there is one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
APT = "apt-get update && apt-get install --yes --no-install-recommends chromium"
NONE = (
    "There is no browser for the browser tests: install Chromium so that `chromium` is on the "
    "PATH, or run the other tests with `.venv/bin/python -m pytest --ignore=tests/browser`."
)


def find() -> str | None:
    """The path of a browser that starts: one on the PATH, else Playwright's own, else None."""
    for path in filter(None, map(shutil.which, NAMES)):
        if _succeeds([path, "--version"]):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() and _succeeds([path, "--version"]) else None


def install() -> str | None:
    """Installs a browser: by apt as root on Debian, else by Playwright's own download."""
    if os.geteuid() == 0 and _is_debian() and shutil.which("apt-get"):
        print("Installing Chromium with apt …", flush=True)
        _succeeds(["sh", "-c", APT], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if path := find():
            return path
    print("Installing Playwright's Chromium …", flush=True)
    _succeeds([sys.executable, "-m", "playwright", "install", "chromium"])
    return find()


def _is_debian() -> bool:
    """Whether this is Debian itself: Ubuntu's package is only a door to its own shop."""
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


def _succeeds(command: list[str], env: dict[str, str] | None = None) -> bool:
    """Runs a command; whether it went well. What it says is shown only if it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False
    if done.returncode:
        print(*(done.stdout + done.stderr).splitlines()[-3:], sep="\n", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    browser = find() or install()
    sys.exit(None if browser else NONE)
