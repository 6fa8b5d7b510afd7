"""Measure packaged classifiers of emotions on the same faces as ours, and write docs/leaderboard.md.

Each peer is one file in benchmarks/peers/adapters. The command makes an environment for it in --env-dir (a virtual
environment, or npm packages, with exact versions), starts the adapter there, and sends it the faces over a pipe.
Accuracy, macro-F1 and calibration error (15 bins) are measured on all faces of the split, corruptions on one row in
--corruption-step. Times are taken at the end, of all peers, interleaved. What was measured is kept in --env-dir: give
the command again to go on.

Needs .venv-test, Node.js with npm, a package registry for the first run, and 2 GB in --env-dir.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common import make_parser
from benchmarks.peers import table
from benchmarks.peers.environment import prepare
from benchmarks.peers.measure import Protocol, measure, time_interleaved
from benchmarks.peers.protocol import ADAPTERS, ROOT, Peer, PeerError, PeerProcess, describe, find_adapters
from edge.errors import EmotionEdgeError
from edge.system.atomic_file import atomic_write
from trainer.data.dataset import PUBLIC_TEST, SPLITS
from trainer.data.loader import load_dataset

REFERENCE = "ours"
CONTENT, DOCUMENT = "leaderboard.json", "leaderboard.md"  # files of docs/


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("peers", __doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="fer2013.csv, or as of trainer train")
    parser.add_argument("--env-dir", type=Path, required=True, metavar="FOLDER", help="outside of the checkout")
    parser.add_argument("--split", choices=SPLITS, default=PUBLIC_TEST)
    parser.add_argument(
        "--peers", nargs="+", metavar="NAME", help="some of them (default: all; a peer that fails ends the command)"
    )
    parser.add_argument("--corruption-step", type=int, default=3, metavar="INT", help="default: every 3rd row")
    parser.add_argument("--adapters", type=Path, default=ADAPTERS, metavar="FOLDER")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", metavar="FOLDER", help="where the table is written")
    options = parser.parse_args(arguments)
    if not 1 <= options.corruption_step <= 255:
        parser.error("--corruption-step: 1 to 255")
    try:
        content = leaderboard(options)
        document = options.docs / DOCUMENT
        text = table.replace(document.read_text(), content)
        atomic_write(options.docs / CONTENT, (json.dumps(content, indent=1) + "\n").encode())
        atomic_write(document, text.encode())
    except EmotionEdgeError as error:
        sys.exit(f"peers: error: {error}")
    print(table.render(content))


def leaderboard(options: Any) -> dict[str, Any]:
    """Return the content of docs/leaderboard.json. Raises EmotionEdgeError."""
    peers = chosen(options.adapters, options.peers)
    options.env_dir.mkdir(parents=True, exist_ok=True)
    if options.env_dir.resolve().is_relative_to(ROOT):
        raise PeerError(f"--env-dir {options.env_dir}: inside of the checkout; choose a folder outside")
    protocol = Protocol(load_dataset(options.data).split(options.split), options.corruption_step)
    environments = {peer.name: prepare(peer, options.env_dir) for peer in peers}
    rows = []
    with ExitStack() as stack:
        processes = {}
        for peer in peers:
            environment = environments[peer.name]
            process = PeerProcess(peer, environment.python, environment.modules, options.env_dir / f"{peer.name}.log")
            processes[peer.name] = stack.enter_context(process)
            kept = options.env_dir / "results" / f"{options.split}-{peer.name}.json"
            figures = measure(peer, process, protocol, kept)
            rows.append(
                {
                    "name": peer.name,
                    "version": peer.version,
                    "input": peer.input,
                    "training_data": peer.training_data,
                    "source": peer.source,
                    "lacks": table.lacking(peer.labels, protocol.dataset.class_names),
                    "model_bytes": figures["model_bytes"],
                    "model_sha256": figures["key"]["model"],
                    "conditions": figures["conditions"],
                }
            )
        times = time_interleaved(processes, protocol.dataset, REFERENCE)
    rows = [{**row, **times[row["name"]]} for row in rows]
    return {"split": options.split, "corruption_step": options.corruption_step, "peers": rows}


def chosen(folder: Path, names: Sequence[str] | None) -> list[Peer]:
    """Return the peers of `names`, and always ours. Raises PeerError for a name without an adapter."""
    adapters = find_adapters(folder)
    wanted = adapters.keys() if names is None else {REFERENCE, *names}
    if unknown := sorted(wanted - adapters.keys()):
        raise PeerError(f"no adapter {', '.join(unknown)}; there are: {', '.join(adapters)}")
    return [describe(adapters[name], sys.executable) for name in sorted(wanted, key=lambda name: name != REFERENCE)]


if __name__ == "__main__":
    main()
