"""Make the pictures in this folder from what the commands really print. Run it again when their output changes.

    pip install . rich numpy pandas && python docs/images/make.py

`demo.svg` is `holdfast demo`; `vars.svg` is `holdfast vars` on the state that the demo left behind.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 108
_REMOTE_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_KEPT = re.compile(r"\s*It ran in (?P<folder>\S+)\.\s*$")


def on_a_terminal(*command: str) -> str:
    """Return what a command prints on a terminal, colours included."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    received = bytearray()
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # Linux says EIO when the other side is closed
            break
        if not piece:
            break
        received += piece
    os.close(ours)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{received.decode()}")
    return received.decode().replace("\r\n", "\n")


def draw(name: str, command: str, printed: str) -> None:
    """Write what was printed as a picture of a terminal."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(printed.strip("\n")))
    picture = console.export_svg(title="holdfast", unique_id=f"holdfast-{name}")
    # A picture that fetches fonts from a server would tell the server who looks at it.
    picture = _REMOTE_FONTS.sub("", picture)
    path = HERE / f"{name}.svg"
    path.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", encoding="utf-8")
    print(path)


def main() -> None:
    """Make all pictures."""
    holdfast = (sys.executable, "-m", "holdfast")
    printed = on_a_terminal(*holdfast, "demo", "--keep")
    kept = _KEPT.search(printed)
    assert kept is not None, printed
    folder = Path(kept["folder"])
    try:
        draw("demo", "holdfast demo", _KEPT.sub("", printed))
        listed = subprocess.run(
            [*holdfast, "vars", str(folder / "bikes.py")], check=True, capture_output=True, text=True
        )
        lines = [line[:COLUMNS] for line in listed.stdout.splitlines()]
        draw("vars", f"holdfast vars bikes.py | cut -c -{COLUMNS}", "\n".join(lines))
    finally:
        subprocess.run([*holdfast, "stop", str(folder)], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
