"""Ports that stay ours while nobody listens on them."""

import socket
import weakref

HOST = "127.0.0.1"


class ReservedPort:
    """An ephemeral port on the loopback interface, bound but not listened on.

    Connections to it are refused as if nobody had it. Without the reservation, the kernel could give the port of a
    stopped collector to another process, or to the very client that tries to reconnect: it would be talking to itself.
    """

    def __init__(self) -> None:
        self._number = 0
        self._release: weakref.finalize[[], ReservedPort] | None = None

    @property
    def number(self) -> int:
        """The port; the same one for ever from the first reservation on."""
        if not self._number:
            self.reserve()
        return self._number

    def reserve(self) -> None:
        """Take the port, unless it is taken."""
        if self._release is not None:
            return
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the server binds it as well, and listens
        try:
            holder.bind((HOST, self._number))
        except OSError:
            holder.close()
            raise
        self._number = holder.getsockname()[1]
        self._release = weakref.finalize(self, holder.close)

    def release(self) -> None:
        """Give the port back."""
        if self._release is not None:
            self._release()
            self._release = None
