"""Controlled noisy-label image benchmarks: plan them, build them, learn from them."""

__version__ = "0.1.0"
