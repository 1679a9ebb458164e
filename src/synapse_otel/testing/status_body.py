"""The error messages of google.rpc that OTLP sends beside a status code."""

from math import modf

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status


def status_message(code: int, message: str, retry_seconds: float | None = None) -> bytes:
    """A serialized `google.rpc.Status`.

    Args:
        code: The gRPC status, as a number; 0 where it is sent over HTTP, which does not use it.
        message: The text of the error.
        retry_seconds: When to try again; adds a `RetryInfo` to the details.
    """
    status = Status(code=code, message=message)
    if retry_seconds is not None:
        detail = Any()
        detail.Pack(_retry_info(retry_seconds))
        status.details.append(detail)
    return bytes(status.SerializeToString())


def retry_info(seconds: float) -> bytes:
    """A serialized `google.rpc.RetryInfo`."""
    return bytes(_retry_info(seconds).SerializeToString())


def _retry_info(seconds: float) -> RetryInfo:
    fraction, whole = modf(seconds)
    info = RetryInfo()
    info.retry_delay.seconds = int(whole)
    info.retry_delay.nanos = round(fraction * 1e9)
    return info
