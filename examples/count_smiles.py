"""Count the smiles of a video: a row for each, with its beginning and its length, in a CSV file.

.venv/bin/python examples/count_smiles.py film.mp4 smiles.csv
"""

import csv
import sys
from pathlib import Path

try:
    from edge import EmotionEdgeError, analyze_video
except ImportError as error:
    sys.exit(f"count_smiles: {error}; start scripts/run.sh once; elsewhere: pip install .")

LABEL, SHORTEST_SECONDS = "happy", 0.5


def smiles(video: str) -> list[tuple[int, float, float]]:
    """Return (track id, begin, end) of each smile, in seconds of the video."""
    begins: dict[int, float] = {}  # track id -> when the smile that lasts began
    found, now = [], 0.0
    for result in analyze_video(video):
        now = result.frame.time
        smiling = {face.track_id for face in result.faces if face.label == LABEL}
        found += [(track_id, begins.pop(track_id), now) for track_id in begins.keys() - smiling]
        begins |= dict.fromkeys(smiling - begins.keys(), now)
    found += [(track_id, begin, now) for track_id, begin in begins.items()]
    return sorted(smile for smile in found if smile[2] - smile[1] >= SHORTEST_SECONDS)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: count_smiles.py VIDEO CSV_FILE")
    try:
        rows = smiles(sys.argv[1])
    except EmotionEdgeError as error:
        sys.exit(f"count_smiles: {error}")
    with Path(sys.argv[2]).open("w", newline="") as file:
        csv.writer(file).writerows([("face", "begin_seconds", "end_seconds"), *rows])
    print(f"{len(rows)} smiles")
