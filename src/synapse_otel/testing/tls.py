"""Transport security of the collector, from certificates in memory."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """The collector's certificate.

    Args:
        certificate: The certificate chain, PEM.
        key: The private key of the first certificate, PEM.
        client_ca: The authority (PEM) that must have signed the client's certificate; `None` asks for none.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None

    def context(self) -> ssl.SSLContext:
        """The context of a server socket."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with TemporaryDirectory() as directory:  # OpenSSL takes the chain from a file only
            pem = Path(directory, "server.pem")
            pem.touch(mode=0o600)
            pem.write_bytes(self.key + b"\n" + self.certificate)
            context.load_cert_chain(pem)
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.client_ca.decode())
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """The credentials of a gRPC server."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.client_ca,
            require_client_auth=self.client_ca is not None,
        )
