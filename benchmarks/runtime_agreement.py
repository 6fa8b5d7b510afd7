"""Compare the latency that `edge benchmark` measures with that of ai-edge-litert's own tool, interleaved.

The tool is part of ai-edge-litert from 2.3 on; it times the inference alone, with one thread and random pixels, and
rounds to 0.01 ms. `edge benchmark` also includes the transfer of the image and the calibration of the output, as the
loop has them. Each round runs both; the ratios of their medians and of their means are printed, and the median of the
ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import make_parser
from edge.config.models import shipped_model
from edge.diagnostics.single_stream import StoppingRule, measure_single_stream
from edge.inference.classifier import Classifier

TOOL_MODULE = "ai_edge_litert.tools.benchmark_litert_model"

Latency = tuple[float, float]  # median and mean in ms


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("runtime_agreement", __doc__)
    parser.add_argument("model", nargs="?", type=Path, default=shipped_model(), help="default: the shipped model")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--queries", type=int, default=2000, help="in each round")
    options = parser.parse_args(arguments)
    classifier, ratios = Classifier(options.model), []
    print(f"{'':8} {'edge p50':>9} {'tool p50':>9} {'ratio':>6} {'edge mean':>10} {'tool mean':>10} {'ratio':>6}")
    for number in range(options.rounds):
        if number % 2:  # alternately, so that neither always runs after a pause
            tool = measure_tool(options.model, options.queries)
            edge = measure_edge(classifier, options.queries)
        else:
            edge = measure_edge(classifier, options.queries)
            tool = measure_tool(options.model, options.queries)
        ratios.append((edge[0] / tool[0], edge[1] / tool[1]))
        medians = f"{edge[0]:9.3f} {tool[0]:9.2f} {ratios[-1][0]:6.2f}"
        means = f"{edge[1]:10.3f} {tool[1]:10.2f} {ratios[-1][1]:6.2f}"
        print(f"{f'round {number + 1}':8} {medians} {means}", flush=True)
    p50, mean = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"median ratio of {options.rounds} rounds: p50 {p50:.3f}, mean {mean:.3f}")


def measure_edge(classifier: Classifier, queries: int) -> Latency:
    result = measure_single_stream(classifier, StoppingRule(queries, 0.0))
    assert result
    return result.latency_ms.p50, result.latency_ms.mean


def measure_tool(model: Path, queries: int) -> Latency:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        options = [f"--model={model}", f"--num_runs={queries}", f"--result_json={result}", "--warmup_runs=20"]
        command = [sys.executable, "-m", TOOL_MODULE, *options]
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        if completed.returncode or not result.exists():
            sys.exit(f"runtime_agreement: {TOOL_MODULE} failed: {' '.join(completed.stderr.splitlines()[-1:])}")
        latency = json.loads(result.read_text())["latency"]
    return latency["median_ms"], latency["avg_ms"]


if __name__ == "__main__":
    main()
