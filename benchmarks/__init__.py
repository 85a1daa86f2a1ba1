"""Side-by-side timings and comparisons. Each prints the figures that the documentation quotes.

`python -m benchmarks` runs those that take minutes, `python -m benchmarks NAME …` the named ones; each is a module with
options of its own: `python -m benchmarks.norm_cost --help`.
"""
