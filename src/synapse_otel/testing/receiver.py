"""What happens to a request, whatever protocol it came by."""

import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from synapse_otel.testing.answers import HANG_UP, Answer, Refused
from synapse_otel.testing.calls import Call
from synapse_otel.testing.request_log import Request, RequestLog
from synapse_otel.testing.schedule import FaultSchedule
from synapse_otel.testing.signals import WIRE_OF, Protocol, Signal, Wire
from synapse_otel.testing.store import Batch, Store

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request at the door.

    Attributes:
        path: The path it was posted to, or the gRPC method.
        headers: Names in lower case.
        read: Gives the decompressed body; may raise `Refused`.
        wait: Waits for so many seconds (`None`: for ever); true unless the collector stopped meanwhile.
    """

    protocol: Protocol
    path: str
    headers: dict[str, str]
    read: Callable[[], bytes]
    wait: Callable[[float | None], bool]


@dataclass(frozen=True, slots=True)
class Receiver:
    """Checks a request, lets it meet a fault, stores it.

    Args:
        signals: What is served; the others do not exist here.
        required_headers: What every request must carry, names in lower case.
    """

    signals: frozenset[Signal]
    required_headers: Mapping[str, str]
    faults: FaultSchedule
    store: Store
    log: RequestLog

    def handle(self, incoming: Incoming) -> Answer:
        """Decide on a request, note it, and say what to answer."""
        wire = WIRE_OF.get((incoming.protocol, incoming.path))
        signal = wire.signal if wire else None
        number = self.log.arrived(Request(signal, incoming.protocol, incoming.path, incoming.headers, monotonic()))
        try:
            answer = self._decide(wire, incoming, number)
        except Refused as refused:
            answer = refused.answer
        except Exception as error:  # a fault or a predicate of the test itself: it must be seen, not hang the sender
            _logger.exception("a fault failed")
            answer = Answer(500, message=f"a fault failed: {error!r}")
        self.log.answered(number, None if answer.cut else answer.status)
        return answer

    def _decide(self, wire: Wire | None, incoming: Incoming, number: int) -> Answer:
        if wire is None or wire.signal not in self.signals:
            raise Refused(404, f"{incoming.path} is not served here")
        self._authorize(incoming.headers)
        if self.faults.take(wire.signal, before_body=True):
            return HANG_UP
        body = incoming.read()
        self.log.read(number, body)
        batch = Batch(wire, body)
        self.log.decoded(number, batch.count)
        call = Call(batch, self.store, incoming.wait)
        fault = self.faults.take(wire.signal, before_body=False)
        return fault.apply(call) if fault else call.accept()

    def _authorize(self, headers: Mapping[str, str]) -> None:
        for name, expected in self.required_headers.items():
            if not hmac.compare_digest(headers.get(name, "").encode(), expected.encode()):
                raise Refused(401, f"header {name} is missing or wrong", {"WWW-Authenticate": "Bearer"})
