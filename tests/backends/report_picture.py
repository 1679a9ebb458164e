"""Make the picture of a report that the README shows: ``python tests/backends/report_picture.py docs/report.png``.

It trains the model of the examples, writes the report of that run, and photographs it with Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_digits.py"
PROGRAM = Path(sys.executable).with_name("synapse-otel")
WIDTH, HEIGHT = 1280, 1440


def report(folder: Path) -> Path:
    """Train, and return the report of that."""
    environ = {**os.environ, "SYNAPSE_OTEL_JOURNAL_DIR": str(folder / "runs"), "TMPDIR": str(folder)}
    for command in (["run", str(EXAMPLE), "--job-id", "digits-1"], ["report", "digits-1", "-o", "report.html"]):
        subprocess.run([PROGRAM, *command], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    return folder / "report.html"


def photograph(page_file: Path, picture: Path) -> None:
    """Save the upper part of a page as a PNG."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(page_file.as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plot')].filter(plot => plot.querySelector('.js-line')).length >= 3"
        )
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        photograph(report(Path(folder)), Path(sys.argv[1]))
