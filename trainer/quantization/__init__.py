"""Conversion to int8 TFLite."""
