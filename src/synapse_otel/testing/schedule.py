"""Which fault meets which request."""

from dataclasses import dataclass
from threading import Lock

from synapse_otel.testing.faults import DropConnection, Fault
from synapse_otel.testing.signals import SIGNALS, Signal


@dataclass(slots=True, eq=False)
class Scheduled:
    """A fault with the number of requests that it still applies to (`None`: no end)."""

    fault: Fault
    left: int | None
    signal: Signal | None


class FaultSchedule:
    """Faults in the order in which they are to happen; safe to use from any thread.

    A request meets the first fault that concerns its signal and is not used up. Only requests that would be accepted
    meet one: what is refused for its path, its headers or its size uses up nothing.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: list[Scheduled] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, fault: Fault, times: int | None = None, signal: Signal | None = None) -> Scheduled:
        """Schedule a fault after those that are.

        Args:
            fault: What happens.
            times: To how many requests; `None` for all from now on.
            signal: To requests of which signal; `None` for all.

        Returns:
            The entry, for `remove`.

        Raises:
            TypeError: If `fault` is none.
            ValueError: If `times` is less than 1 or `signal` is none of the three.
        """
        if isinstance(fault, type) or not isinstance(fault, Fault):
            raise TypeError(f"fault must be an object with an apply method, such as Status(503), not {fault!r}")
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1 or None, not {times!r}")
        if signal is not None and signal not in SIGNALS:
            raise ValueError(f"signal must be 'traces', 'metrics', 'logs' or None, not {signal!r}")
        entry = Scheduled(fault, times, signal)
        with self._lock:
            self._entries.append(entry)
        return entry

    def remove(self, entry: Scheduled) -> None:
        """Take a fault away, used up or not."""
        with self._lock:
            self._entries = [other for other in self._entries if other is not entry]

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._entries = []

    def take(self, signal: Signal, *, before_body: bool) -> Fault | None:
        """The fault that a request meets, used up by one.

        Args:
            signal: What the request carries.
            before_body: Whether only its headers were read; then only a fault of that moment is taken.
        """
        with self._lock:
            entry = next((entry for entry in self._entries if entry.signal in (None, signal)), None)
            if entry is None or before_body != _is_before_body(entry.fault):
                return None
            if entry.left is not None:
                entry.left -= 1
                if entry.left == 0:
                    self._entries.remove(entry)
            return entry.fault


def _is_before_body(fault: Fault) -> bool:
    return isinstance(fault, DropConnection) and fault.after == "headers"
