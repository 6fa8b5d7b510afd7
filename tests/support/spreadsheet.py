"""What a program for spreadsheets does to a CSV file that a person opens and saves again."""

import csv
import io
import re


def save_again(content: bytes, delimiter: str = ";", decimal: str = ",") -> bytes:
    """Return `content`, a CSV file of a sink, with a byte order mark, CR LF, and other delimiters and numbers."""
    saved = io.StringIO()
    writer = csv.writer(saved, delimiter=delimiter, lineterminator="\r\n")
    for row in csv.reader(content.decode().splitlines()):
        writer.writerow(re.sub(r"^(\d+)\.(\d+)$", rf"\1{decimal}\2", cell) for cell in row)
    return b"\xef\xbb\xbf" + saved.getvalue().encode()
