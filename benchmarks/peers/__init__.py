"""Packaged classifiers of emotions, measured on the same faces as ours. See docs/leaderboard.md."""
