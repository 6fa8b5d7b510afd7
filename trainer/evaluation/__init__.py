"""Evaluation of models: predictions, metrics, calibration, corruptions, crop padding."""
