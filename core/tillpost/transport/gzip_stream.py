"""The decompression of gzip as it arrives, within a given size."""

from __future__ import annotations

import zlib

__all__ = ["GzipStream"]

_GZIP = zlib.MAX_WBITS | 16

_MAGIC = b"\x1f\x8b"
"""What a member of a gzip stream begins with."""


class GzipStream:
    """A body in gzip: one member or several in sequence (RFC 1952, section 2.2).

    What follows the last member and doesn't begin like another, such as padding, is ignored.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._has_begun = False
        self._beginning = b""
        self._is_over = False

    @property
    def is_whole(self) -> bool:
        """Whether all that has begun has also ended."""
        return self._member.eof or not self._has_begun

    def decompress(self, data: bytes, most: int) -> bytes:
        """Take bytes as received; return at most so many decompressed ones, of at least 1.

        What exceeds them is lost.

        Raises:
            zlib.error: It isn't gzip.
        """
        decompressed = bytearray()
        left = self._beginning + data
        self._beginning = b""
        while left and len(decompressed) < most and not self._is_over:
            if self._member.eof:
                if left == _MAGIC[:1]:
                    self._beginning = left  # the next byte decides
                    break
                if not left.startswith(_MAGIC):
                    self._is_over = True
                    break
                self._member = zlib.decompressobj(_GZIP)
            self._has_begun = True
            decompressed += self._member.decompress(left, most - len(decompressed))
            left = self._member.unused_data
        return bytes(decompressed)
