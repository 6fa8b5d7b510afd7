"""Measure the classifier alone with `edge benchmark`'s own code and with ai-edge-litert's tool, in turn.

usage: .venv/bin/python benchmarks/runtime_agreement.py [MODEL]        (after scripts/run.sh has made .venv)

The tool came with ai-edge-litert 2.3; it times the model's run alone, with one thread and random pixels, and rounds to
0.01 ms. Ours also hands the image over and makes shares of what comes out, as the loop does. A round asks both; the
ratios of their medians and of their means are printed, and the middle ones of all rounds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from edge.config.models import shipped_model
from edge.diagnostics.benchmark import single_stream
from edge.diagnostics.benchmark_report import Rule
from edge.inference.classifier import Classifier

TOOL = "ai_edge_litert.tools.benchmark_litert_model"
ROUNDS, QUERIES = 15, 2000

Figures = tuple[float, float]  # median, mean; ms


def main() -> None:
    model = Path(sys.argv[1]) if sys.argv[1:] else shipped_model()
    classifier, ratios = Classifier(model), []
    print(f"{'':8} {'ours p50':>9} {'tool p50':>9} {'ratio':>6} {'ours mean':>10} {'tool mean':>10} {'ratio':>6}")
    for number in range(ROUNDS):
        # Neither is always the one that comes after the other's pause.
        if number % 2:
            tool, ours = of_tool(model), of_ours(classifier)
        else:
            ours, tool = of_ours(classifier), of_tool(model)
        ratios.append((ours[0] / tool[0], ours[1] / tool[1]))
        print(line(f"round {number + 1}", ours, tool), flush=True)
    middle = [statistics.median(column) for column in zip(*ratios, strict=True)]
    print(f"middle ratio of {ROUNDS} rounds: p50 {middle[0]:.3f}, mean {middle[1]:.3f}")


def of_ours(classifier: Classifier) -> Figures:
    alone = single_stream(classifier, Rule(QUERIES, 0.0))
    assert alone
    return alone.ms.p50, alone.ms.mean


def of_tool(model: Path) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", TOOL, f"--model={model}", f"--num_runs={QUERIES}", f"--result_json={result}"]
        done = subprocess.run([*command, "--warmup_runs=20"], capture_output=True, text=True, check=False)
        if done.returncode or not result.exists():
            sys.exit(f"agree.py: {TOOL} failed: {' '.join(done.stderr.splitlines()[-1:])}")
        latency = json.loads(result.read_text())["latency"]
    return latency["median_ms"], latency["avg_ms"]


def line(name: str, ours: Figures, tool: Figures) -> str:
    (p50, mean), (tool_p50, tool_mean) = ours, tool
    ratios = p50 / tool_p50, mean / tool_mean
    return f"{name:8} {p50:9.3f} {tool_p50:9.2f} {ratios[0]:6.2f} {mean:10.3f} {tool_mean:10.2f} {ratios[1]:6.2f}"


if __name__ == "__main__":
    main()
