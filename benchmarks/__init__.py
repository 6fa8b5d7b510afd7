"""Programs that measure what the documents claim; run one by `python -m benchmarks.NAME --help`. See README.md."""
