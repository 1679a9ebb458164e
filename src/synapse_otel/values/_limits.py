from dataclasses import dataclass, fields

_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a value is kept. What is beyond a limit is cut, and the cut is marked in place.

    With the defaults the largest value encodes to less than 4 MiB, the usual limit of an OTLP request: 1 MiB of text
    at four bytes per character, 2 MiB of keys (2000 of 256 characters), and the marks.

    Attributes:
        max_depth: Containers inside each other; at most 64, so that the walk cannot exhaust the stack.
        max_items: Items of one container, and elements of an array that is kept as a list.
        max_nodes: Values over the whole snapshot, containers included. Marks come on top, at most one per container.
        max_string: Characters of one string. The mark comes on top.
        max_text: Characters of all strings together, keys not counted.

    Raises:
        ValueError: If a limit is below 1 or `max_depth` is above 64.
    """

    max_depth: int = 8
    max_items: int = 128
    max_nodes: int = 2000
    max_string: int = 32_768
    max_text: int = 262_144

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"Limits.{field.name} must be at least 1, got {value!r}")
        if self.max_depth > _DEEPEST:
            raise ValueError(f"Limits.max_depth must be at most {_DEEPEST}, got {self.max_depth!r}")


DEFAULT_LIMITS = Limits()
