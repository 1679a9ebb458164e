"""Any Python value as plain data: a snapshot, bounded, encodable, taken without ever raising.

`plain` is what the loggers call on everything a plugin hands over as data, `text` on messages and names.
The parts: `_limits` says how much is kept, `_strings` makes text encodable and describes what has no better form,
`_adapters` knows the types, `_snapshot` walks, `_plainness` tells what needs no walk.
"""

from synapse_otel.values._limits import DEFAULT_LIMITS, Limits
from synapse_otel.values._plainness import numbers_at_a_glance, plain_at_a_glance
from synapse_otel.values._snapshot import REDACTED, Plain, plain, text
from synapse_otel.values._strings import short_name, type_name

__all__ = [
    "DEFAULT_LIMITS",
    "REDACTED",
    "Limits",
    "Plain",
    "numbers_at_a_glance",
    "plain",
    "plain_at_a_glance",
    "short_name",
    "text",
    "type_name",
]
