"""Receivers of rows on this machine."""

from tests.helpers.receivers import broker, received, receiver, said

__all__ = ["broker", "received", "receiver", "said"]
