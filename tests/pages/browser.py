"""A real browser for the tests of pages: Debian's Chromium, driven by Playwright."""

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = os.environ.get("FACEREN_TEST_AXE", "")
"""Path of axe.min.js, from the npm package axe-core."""


def needs_chromium():
    """Return Playwright's entry; skip if it or the browser is not there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Chromium and Playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: chromium)")
    return playwright.sync_playwright


def serious(page):
    """Return axe-core's serious and critical findings, with the elements they are about."""
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))  # past the page's policy, as a debugger is
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (item["id"], node["target"], node["failureSummary"])
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]
