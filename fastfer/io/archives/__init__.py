"""Untrusted zip and tar archives, read in bounded time and memory."""
