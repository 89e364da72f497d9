"""What is installed is what is pinned, and no version with a known hole."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parent.parent

#: The lowest safe version of each package, and the last advisory that it answers.
FLOORS = {
    "streamlit": ("1.61", "CVE-2024-42474, CVE-2026-33682, hardening of 1.60 and 1.61"),
    "starlette": ("1.3.1", "CVE-2025-54121, CVE-2025-62727, CVE-2026-48710, CVE-2026-54283"),
    "python-multipart": ("0.0.27", "GHSA-wp53-j4wj-2cfg, CVE-2026-40347, CVE-2026-42561"),
    "torch": ("2.11", "CVE-2025-32434, CVE-2026-24747, CVE-2026-4538"),
    "distributed": ("2026.1.1", "CVE-2026-23528"),
    "tornado": ("6.5.10", "CVE-2025-47287, CVE-2026-31958, CVE-2026-49853 to -49855"),
    "pillow": ("13.0.0", "CVE-2026-25990, CVE-2026-40192, CVE-2026-59197 to -59200"),
    "plotly": ("6", "CVE-2023-46308 in the plotly.js that older ones carry"),
    "filelock": ("3.20.3", "CVE-2025-68146, CVE-2026-22701"),
}

#: Not needed; safe from here on where somebody has them all the same.
FLOORS_IF_INSTALLED = {
    "authlib": ("1.6.12", "CVE-2026-27962, CVE-2026-28802, CVE-2026-41425"),
    "bokeh": ("3.8.2", "GHSA-793v-589g-574v"),
}


def pins(name: str) -> dict[str, str]:
    """The pins of a requirements file, by package."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("-r "))


APP, DEVELOPMENT = pins("requirements.txt"), pins("requirements-dev.txt")


def public(number: str) -> Version:
    """A version without its local part, such as the ``+cpu`` of a build of PyTorch."""
    return Version(Version(number).public)


@pytest.mark.parametrize("package", [*APP, *DEVELOPMENT])
def test_installed_as_pinned(package: str) -> None:
    pin = {**APP, **DEVELOPMENT}[package]
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", pin), f"{package} is not pinned exactly"
    assert public(version(package)) == Version(pin)


@pytest.mark.parametrize("package", FLOORS)
def test_safe_version(package: str) -> None:
    floor, advisories = FLOORS[package]
    assert package in APP, f"{package} must be pinned: pip would take any version"
    assert public(version(package)) >= Version(floor), advisories


@pytest.mark.parametrize("package", FLOORS_IF_INSTALLED)
def test_safe_version_if_installed(package: str) -> None:
    floor, advisories = FLOORS_IF_INSTALLED[package]
    try:
        assert public(version(package)) >= Version(floor), advisories
    except PackageNotFoundError:
        assert package not in APP
