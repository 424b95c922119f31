"""Open `simplexlab tui --demo` in a terminal of its own, wait for the list of recorded runs, and quit with q."""

import contextlib
import os
import pty
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-256color"
    os.execv(sys.argv[1], [sys.argv[1], "tui", "--demo"])
seen = b""
with contextlib.suppress(OSError):  # the terminal is closed at its end
    while b"sorted" not in seen:
        seen += os.read(terminal, 65536)
    os.write(terminal, b"q")
    while part := os.read(terminal, 65536):
        seen += part
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(f"tui --demo: {len(seen):,} bytes on the screen, exit code {code}")
sys.exit(code or b"sorted" not in seen)
