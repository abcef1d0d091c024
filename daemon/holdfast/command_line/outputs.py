"""nbformat outputs on a terminal or into files: text where text belongs, pictures named or saved."""

from __future__ import annotations

import base64
import binascii
import os
import struct
import sys
from pathlib import Path
from typing import IO, Any

_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "application/pdf": ".pdf",
}


class OutputPrinter:
    """Prints outputs: what code wrote to its standard output goes to ours, standard error to ours.

    Args:
        images: A folder to save pictures into; without it they are only named.
    """

    def __init__(self, images: Path | None = None) -> None:
        self.at_line_start = True
        self._images = images
        self._stem = "output"
        self._saved = 0

    def begin(self, stem: str) -> None:
        """Name the pictures of what comes now: ``<stem>-1.png``, ``<stem>-2.svg``, …"""
        self._stem = stem
        self._saved = 0

    def show(self, output: dict[str, Any]) -> None:
        """Print one output."""
        kind = output.get("output_type")
        if kind == "stream":
            text = output.get("text", "")
            self._write(output.get("name", "stdout"), text if isinstance(text, str) else "".join(text))
        elif kind in ("display_data", "execute_result", "update_display_data"):
            self._show_bundle(output.get("data", {}))

    def finish_line(self) -> None:
        """Begin a new line if the last output did not end one."""
        if not self.at_line_start:
            self._write("stdout", "\n")

    def _show_bundle(self, bundle: dict[str, Any]) -> None:
        pictures = [mime for mime in _SUFFIXES if mime in bundle]
        if pictures:
            self._line(self._picture(pictures[0], bundle[pictures[0]]))
            return
        for mime in ("text/plain", "text/markdown", "text/latex", "text/html"):
            if mime in bundle:
                text = bundle[mime]
                self._line(text if isinstance(text, str) else "".join(text))
                return
        self._line(f"[{', '.join(bundle) or 'an empty display'}]")

    def _picture(self, mime: str, content: str | list[str]) -> str:
        text = content if isinstance(content, str) else "".join(content)
        try:
            octets = text.encode() if mime == "image/svg+xml" else base64.b64decode(text)
        except binascii.Error:
            return f"[{mime}, damaged]"
        extent = dimensions(mime, octets)
        label = f"{mime} {extent[0]}×{extent[1]}" if extent else mime
        if self._images is None:
            return f"[{label}]"
        self._images.mkdir(parents=True, exist_ok=True)
        self._saved += 1
        path = self._images / f"{self._stem}-{self._saved}{_SUFFIXES[mime]}"
        path.write_bytes(octets)
        return f"[{label}: {path}]"

    def _line(self, text: str) -> None:
        start = "" if self.at_line_start else "\n"
        self._write("stdout", f"{start}{text}\n")

    def _write(self, name: str, text: str) -> None:
        if not text:
            return
        stream = sys.stderr if name == "stderr" else sys.stdout
        write(stream, text)
        self.at_line_start = text.endswith("\n")


def write(stream: IO[str], text: str) -> None:
    """Write and flush; when nobody reads any more (``| head``), go on in silence for the state's sake."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, stream.fileno())
        os.close(silence)


def dimensions(mime: str, octets: bytes) -> tuple[int, int] | None:
    """Return a picture's width and height in pixels, read from its header; None where it does not say."""
    if mime == "image/png" and octets[:8] == b"\x89PNG\r\n\x1a\n" and len(octets) >= 24:
        width, height = struct.unpack(">II", octets[16:24])
        return width, height
    if mime == "image/gif" and len(octets) >= 10:
        width, height = struct.unpack("<HH", octets[6:10])
        return width, height
    if mime == "image/jpeg":
        return _jpeg_dimensions(octets)
    return None


def _jpeg_dimensions(octets: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(octets) and octets[at] == 0xFF:
        marker, length = octets[at + 1], int.from_bytes(octets[at + 2 : at + 4], "big")
        # Start-of-frame markers hold the size; 0xC4, 0xC8 and 0xCC share their range and are something else.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", octets[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
