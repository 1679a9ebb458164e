"""OTLP over HTTP."""

from __future__ import annotations

import gzip
import re
import time
import weakref
import zlib
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, TypeAlias

import requests
from google.rpc.status_pb2 import Status
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager

from synapse_otel.export.encode import partial_success
from synapse_otel.export.outcome import Outcome, Verdict
from synapse_otel.export.settings import SignalSettings, shown

Headers: TypeAlias = CaseInsensitiveDict[str]

_MAX_ANSWER = 64 * 1024
_TITLE = re.compile(rb"<title>([^<]*)</title>", re.IGNORECASE)
_UNSERVED = {404, 405, 501}
# A wrong token or a proxy that asks for one is mended in the configuration, not in the records.
_RETRIED = {401, 403, 407, 408, 425, 429}


class _Adapter(HTTPAdapter):
    """Keeps its connections until it is closed.

    urllib3 closes them when the interpreter ends: before the last runs are closed and sent, and in a forked child too,
    which waits for ever if a thread of its parent held the lock of a pool at the fork.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for pool in map(manager.pools.__getitem__, manager.pools.keys()):
                pool.close()
        super().close()


class _HttpPool(HTTPConnectionPool):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _keep(self)


class _HttpsPool(HTTPSConnectionPool):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _keep(self)


def _keep(pool: HTTPConnectionPool) -> None:
    for reference in weakref.getweakrefs(pool):
        if isinstance(finalizer := reference.__callback__, weakref.finalize):
            finalizer.atexit = False


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}


class HttpClient:
    """Sends the requests of one signal over one connection that is kept."""

    def __init__(self, settings: SignalSettings) -> None:
        self._settings = settings
        self._place = shown(settings.endpoint)
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())
        if settings.client_certificate and settings.client_key:
            self._session.cert = (settings.client_certificate, settings.client_key)
        elif settings.client_certificate:
            self._session.cert = settings.client_certificate
        self._session.headers.update(
            {"Content-Type": "application/x-protobuf", "User-Agent": f"synapse-otel/{version('synapse-otel')}"}
        )
        if settings.compression != "none":
            self._session.headers["Content-Encoding"] = settings.compression
        self._session.headers.update(settings.headers)

    def send(self, body: bytes) -> Outcome:
        """Send one encoded request and return what became of it; never raises for what the network does."""
        try:
            status, headers, content = self._post(self._compressed(body))
        except requests.exceptions.RequestException as error:
            return Outcome(Verdict.RETRY, f"{self._place}: {describe(error)}")
        return self._outcome(status, headers, content)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _post(self, body: bytes) -> tuple[int, Headers, bytes]:
        settings = self._settings
        # Redirects are not followed: a POST would become a GET. The body is bounded: it comes from anybody. `verify`
        # is given with each request, because requests prefers REQUESTS_CA_BUNDLE to what its session holds.
        with self._session.post(
            settings.endpoint,
            data=body,
            timeout=settings.timeout,
            verify=settings.certificate or True,
            allow_redirects=False,
            stream=True,
        ) as response:
            content = next(response.iter_content(_MAX_ANSWER), b"")
            return response.status_code, response.headers, content

    def _compressed(self, body: bytes) -> bytes:
        match self._settings.compression:
            case "gzip":
                return gzip.compress(body, compresslevel=6, mtime=0)
            case "deflate":
                return zlib.compress(body)
            case _:
                return body

    def _outcome(self, status: int, headers: Headers, content: bytes) -> Outcome:
        reason = f"{self._place}: HTTP {status}"
        if 200 <= status < 300:
            if content.startswith(b"<") or "html" in headers.get("Content-Type", ""):
                page = f"{reason} with a web page: something other than a collector answers"
                return Outcome(Verdict.RETRY, page, code=status)
            answer = partial_success(self._settings.signal, content)
            if answer is None and "protobuf" in headers.get("Content-Type", "") and len(content) < _MAX_ANSWER:
                return Outcome(Verdict.RETRY, f"{reason} with an answer that is no OTLP", code=status)
            rejected, message = answer or (0, "")  # some collectors answer with JSON, or in words
            return Outcome(Verdict.DELIVERED, message, rejected=rejected, code=status)
        if 300 <= status < 400:
            redirect = f"{reason}, a redirect to {headers.get('Location', 'nowhere')}"
            return Outcome(Verdict.RETRY, redirect, code=status)
        if text := _said(headers, content):
            reason = f"{reason}: {text}"
        if status in _UNSERVED:
            return Outcome(Verdict.UNSERVED, reason, code=status)
        if status in _RETRIED or status >= 500:
            return Outcome(Verdict.RETRY, reason, retry_after(headers.get("Retry-After")), code=status)
        return Outcome(Verdict.REFUSED, reason, code=status)


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait; it holds seconds or a date."""
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())


def describe(error: BaseException) -> str:
    """Return what is at the root of a failed request, in words: the innermost cause says it best."""
    inner: BaseException = error
    for _ in range(10):
        following = getattr(inner, "reason", None) or inner.__cause__ or inner.__context__
        if not following and inner.args and isinstance(inner.args[0], BaseException):
            following = inner.args[0]
        if not isinstance(following, BaseException):
            break
        inner = following
    return f"{type(inner).__name__}: {inner}"


def _said(headers: Headers, content: bytes) -> str:
    """Return what an error's body says: a `google.rpc.Status`, as OTLP asks, or text.

    Prometheus writes a line for each sample that it refuses, most of them the same. Of a web page the title is read.
    """
    if "protobuf" in headers.get("Content-Type", ""):
        # Protobuf raises different errors by implementation; what is none of it may be text nevertheless.
        with suppress(Exception):
            return str(Status.FromString(content).message)
    if content.lstrip().startswith(b"<"):
        title = _TITLE.search(content)
        content = title[1] if title else b""
    lines = content[:4096].decode("utf-8", "replace").splitlines()
    text = "; ".join(dict.fromkeys(line.strip() for line in lines if line.strip()))[:300]
    return text if text.isprintable() else ""
