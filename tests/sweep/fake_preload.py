"""Preloaded by the dask workers of tests: they train with the fake worker."""

from pathlib import Path

from simplexlab.sweep import pool

pool.WORKER = (str(Path(__file__).with_name("fake_worker.py")),)
