"""The way to an endpoint, step by step: its name, a connection, a TLS handshake. The first that fails says why."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from synapse_otel.export.settings import SignalSettings

TIMEOUT = 5.0


class StepError(Exception):
    """A step that failed.

    Args:
        problem: What is wrong.
        hint: How to mend it.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection goes: the endpoint's host and port, or a proxy's."""

    host: str
    port: int
    proxy_variable: str = ""


def place(settings: SignalSettings, environ: Mapping[str, str] = os.environ) -> Place:
    """Return where a request of `settings` connects to; HTTP honours the usual proxy variables."""
    parts = urlsplit(settings.endpoint)
    own = Place(parts.hostname or "", parts.port or (443 if uses_tls(settings) else 80))
    if settings.protocol != "http/protobuf":
        return own
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(settings.endpoint, get_environ_proxies(settings.endpoint, no_proxy=None))
    if not proxy:
        return own
    found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    named = {name.upper() for name, value in environ.items() if value and name.lower().endswith("_proxy")}
    variable = next((name for name in (f"{parts.scheme.upper()}_PROXY", "ALL_PROXY") if name in named), "a proxy")
    return Place(found.hostname or "", found.port or (443 if found.scheme == "https" else 80), variable)


def uses_tls(settings: SignalSettings) -> bool:
    """Return whether requests of `settings` are encrypted."""
    if settings.protocol == "grpc":
        return not settings.insecure
    return settings.endpoint.startswith("https://")


def configured(settings: SignalSettings, environ: Mapping[str, str] = os.environ) -> str:
    """Return the endpoint as the person has written it: for all signals, without the path that is added for one."""
    if environ.get(f"OTEL_EXPORTER_OTLP_{settings.signal.upper()}_ENDPOINT", "").strip():
        return settings.endpoint
    return settings.endpoint.removesuffix(f"/v1/{settings.signal}")


def resolve(to: Place) -> list[str]:
    """Return the addresses of a host.

    Raises:
        StepError: It has none.
    """
    try:
        found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        text = error.strerror if isinstance(error, socket.gaierror) else str(error)
        raise StepError(
            f"the host {to.host!r} does not resolve: {text}",
            "Check the spelling in the endpoint, and whether this machine, or this container, knows the name.",
        ) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(to: Place, timeout: float = TIMEOUT) -> socket.socket:
    """Return a connection.

    Raises:
        StepError: Nobody listens there, or nobody answers.
    """
    try:
        return socket.create_connection((to.host, to.port), timeout=timeout)
    except ConnectionRefusedError:
        raise StepError(
            f"the connection to {to.host}:{to.port} is refused: nothing listens there",
            "Is the collector running, and is this its port? OTLP is 4317 for gRPC and 4318 for HTTP.",
        ) from None
    except TimeoutError:
        raise StepError(
            f"no answer from {to.host}:{to.port} within {timeout:g} s",
            "A firewall may drop the packets, or the host is not the collector's.",
        ) from None
    except OSError as error:
        raise StepError(f"no connection to {to.host}:{to.port}: {error.strerror or error}") from None


def handshake(connection: socket.socket, settings: SignalSettings, host: str) -> str:
    """Encrypt a connection as a request would; return the version of TLS and the protocol agreed on.

    Raises:
        StepError: The certificate is not trusted, or it is no TLS that is spoken there.
    """
    context = tls_context(settings)
    try:
        with context.wrap_socket(connection, server_hostname=host) as encrypted:
            agreed = encrypted.selected_alpn_protocol()
            return f"{encrypted.version()}{f', {agreed}' if agreed else ''}"
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(error, settings, host) from None
    except (ssl.SSLError, OSError) as error:
        raise _no_tls(error, settings) from None


def tls_context(settings: SignalSettings) -> ssl.SSLContext:
    """Return what a request of `settings` trusts, and shows of itself.

    Raises:
        StepError: A certificate file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=settings.certificate or _default_authorities(settings))
    except (ssl.SSLError, OSError) as error:
        raise StepError(f"the certificate file {settings.certificate} cannot be used: {_reason(error)}") from None
    if settings.client_certificate:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except (ssl.SSLError, OSError) as error:
            raise StepError(
                f"the client certificate {settings.client_certificate} cannot be used: {_reason(error)}",
                "OTEL_EXPORTER_OTLP_CLIENT_KEY must hold its private key, without a passphrase.",
            ) from None
    context.set_alpn_protocols(["h2"] if settings.protocol == "grpc" else ["http/1.1"])
    return context


def _default_authorities(settings: SignalSettings) -> str | None:
    if settings.protocol == "grpc":
        return os.environ.get("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
    import certifi

    return certifi.where()


_CERTIFICATE = "OTEL_EXPORTER_OTLP_CERTIFICATE"


def _untrusted(error: ssl.SSLCertVerificationError, settings: SignalSettings, host: str) -> StepError:
    match error.verify_code:  # OpenSSL's X509_V_ERR_*
        case 10:
            return StepError("the server's certificate has expired", "It has to be renewed on the server.")
        case 9:
            return StepError("the server's certificate is not valid yet", "Is the clock of this machine right?")
        case 62 | 64:
            return StepError(
                f"the server's certificate is not for {host}: {error.verify_message}",
                "Use the name that the certificate was issued for in the endpoint.",
            )
    trusted = f"{_CERTIFICATE} ({settings.certificate})" if settings.certificate else "this machine"
    return StepError(
        f"the authority that signed the server's certificate is not trusted: {error.verify_message}",
        f"It is not among those of {trusted}; set {_CERTIFICATE} to a file with the authority's certificate.",
    )


def _no_tls(error: OSError, settings: SignalSettings) -> StepError:
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return StepError(f"the server refuses the TLS handshake: {_reason(error)}")
    if isinstance(error, TimeoutError):
        found = "no answer to the TLS handshake"
    elif isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
        found = "the port does not speak TLS"
    else:
        found = f"the connection is closed during the TLS handshake: {_reason(error)}"
    plain = configured(settings).replace("https://", "http://", 1)
    return StepError(found, f"Is it a port without encryption? Then the endpoint is {plain}")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__
