"""How the parsers of queries are installed: once, whole or not at all, and with a word on why they are not there."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backends import query_parsers
from backends.programs import MissingProgramError
from backends.servers import free_address

pytestmark = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason=query_parsers.MISSING)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this project in which nothing is yet, and one of npm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    return tmp_path / "synapse-otel" / "programs"


@contextmanager
def an_empty_registry() -> Iterator[str]:
    """Serve a registry that has no package."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_registry_that_is_not_reached_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where npm does not get through, the parsers count as missing, with npm's own words; nothing half is left."""
    monkeypatch.setenv("npm_config_registry", f"http://{free_address()}")
    said = rf"{re.escape(query_parsers.MISSING)}; npm failed with \d+:\n(.|\n)*ECONNREFUSED"
    with pytest.raises(MissingProgramError, match=said):
        query_parsers.find()
    assert {path.suffix for path in cache.iterdir()} == {".lock", ".unfinished"}


def test_what_npm_refuses_is_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that the registry does not have is a failure of the tests, not something that is missing here."""
    with an_empty_registry() as url:
        monkeypatch.setenv("npm_config_registry", url)
        with pytest.raises(RuntimeError, match=r"npm failed with 1:\n(.|\n)*E404"):
            query_parsers.find()
    assert {path.suffix for path in cache.iterdir()} == {".lock", ".unfinished"}
