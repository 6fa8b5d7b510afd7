"""Text that a shell, a terminal or a file format could obey, and a check that nothing has obeyed it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.fuzz.mutation import INTERESTING_NUMBERS

PROOF = Path("/tmp/emotion-edge-proof")  # made by every command in TOKENS
_COMMAND = f"touch {PROOF}"
_WORDS = (
    f"$({_COMMAND})",
    f"`{_COMMAND}`",
    f"BASH_VERSINFO[$({_COMMAND})]",
    f"a[$({_COMMAND})]+1",
    f"; {_COMMAND};",
    f"|| {_COMMAND} #",
    f"' ; {_COMMAND} '",
    f'" ; {_COMMAND} "',
    f"& {_COMMAND} &",
    f"<({_COMMAND})",
    "*",
    "[*]",
    "]",
    "@",
    "-n",
    "--",
    "%n%s",
    "..",
    "../../../etc",
    "/etc/passwd",
    "release=../..",
    "\\u000arelease=../../x",
    "free=",
    "free=08",
    "free=0x7f",
    "free=-1",
    "free=99999999999999999999",
    "installed_bytes=",
    "releases=",
    "root=ask",
    "root=",
    "rsync=yes",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\r",
    "\n",
    "\t",
    "\x7f",
    "\u202e",
    "\u2028",
)
TOKENS = (
    *(word.encode() for word in _WORDS),
    b"\0",
    b"\xff\xfe",
    b"\x9b2J",
    *(str(number).encode() for number in INTERESTING_NUMBERS),
)
# What bash and Python say when text got where it should not: into arithmetic, a subscript, or an uncaught error.
_FAULT = re.compile(
    rb"syntax error|unbound variable|bad array subscript|value too great for base|arithmetic|invalid arithmetic|"
    rb"integer expression expected|unexpected EOF|command not found|bad substitution|ignored null byte|Traceback"
)
_NOT_SHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def check_harmless(result: subprocess.CompletedProcess[bytes]) -> None:
    """Raise AssertionError if a program obeyed or showed what it was told by somebody else."""
    obeyed = PROOF.exists()
    PROOF.unlink(missing_ok=True)
    assert not obeyed, "a command was run"
    assert result.returncode in {0, 1, 2, 78}, f"exit status {result.returncode}"
    # What the tools report about our own scripts, not what is quoted after an equals sign or a colon of ours.
    own = b"\n".join(line for line in result.stdout.splitlines() if line.startswith(b"/") or b".sh: line " in line)
    fault = _FAULT.search(own)
    assert not fault, f"{fault and fault[0]!r} in the output"
    shown = _NOT_SHOWN.search(result.stdout.decode(errors="surrogateescape"))
    assert not shown, f"{shown and shown[0]!r} is shown"
    result.stdout.decode()


TABLE_TOKENS = (
    *(b'"', b",", b";", b"\xef\xbb\xbf", b"\r", b"\0", b"\x1b[2J", b"\xc2\x9b2J", b"\xe2\x80\xae"),
    *(b"\xed\xa0\x80", b"9" * 5000, b"nan"),
)
"""What a reader of CSV may meet: delimiters, a byte order mark, terminal codes, a surrogate, numbers that are none."""
