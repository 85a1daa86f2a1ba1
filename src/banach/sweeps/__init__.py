"""Sweeps: a folder of runs, computed here, by job arrays, or over a Ray cluster."""
