"""`python -m benchmarks [NAME …]`: run the named benchmarks with their defaults, or all of them."""

import importlib
import sys

BENCHMARKS = {
    "norm_cost": "what a training step costs in each norm, against plain L2 (minutes)",
    "penalty_cost": "what one gradient penalty costs in norms of fields (a minute)",
    "demo_figures": "what the demo reached, from runs/demo: first `make demo`",
    "first_hour": "planned runs against the demo's settings and the papers' constants (a day; see its --help)",
    "methods": "docs/methods.md from the registries: every method with its source (seconds)",
    "matrix": "every objective with every constraint on 8 gaussians (three quarters of an hour)",
    "estimates": "how much of W1 a critic finds under each constraint, and pictures of it (half an hour)",
    "lipschitz_critics": "docs/lipschitz.md: the share of W1 that exactly Lipschitz critics reach (5 minutes)",
    "step": "a training step against torch-mimicry's, in time and memory (3 minutes; needs the peer's environment)",
    "growth": "a step as batch, width and resolution grow, drawn (10 minutes; needs the peer's environment)",
    "equal_time": "FID after equal minutes, against torch-mimicry's WGAN-GP (two hours; needs the peer's environment)",
    "identity": "hashes of runs and distances, to compare before and after a change of code (minutes)",
    "transport": "exact W1 of Fashion-MNIST pixels at n = 10,000, against POT (minutes)",
    "widths": "how wide a closed interval is in each norm, for rounding alone (seconds)",
    "population": "lower bounds of W1 of distributions, where it is known, in five norms (half an hour)",
    "kappa": "Example 1 of Wasserstein GAN, and whether a fitted kappa transfers (5 minutes)",
    "compiled": "what compiling the steps brings for small networks (minutes)",
    "loader": "what the data loader alone delivers against what a training step consumes (minutes)",
    "precision": "how exact the penalty's gradient is in bfloat16 (ten minutes)",
    "precision_runs": "final FID and loss curves of the demo in float32 and in bfloat16, three seeds (25 minutes)",
    "compare_norms": "samples after equal minutes of training in L2 and in a Sobolev norm (a quarter of an hour)",
    "processes": "images per second of two processes against one (3 minutes)",
    "paper_hours": "docs/paper-runs.md: GPU hours of runs at the papers' scale, from counted arithmetic (5 minutes)",
    "comparison_figure": "docs/pictures/comparison.png: the page of norm-grid's runs (seconds, after that experiment)",
    "scores": "W1 as a score: raw W1 and its excess of real, blurred and memorised images; p-values (minutes)",
    "resolution": "a generator of functions trained at 32x32: its spectral error at 32, 64 and 128 (5 minutes)",
    "targets": "all targets of speed in one table, from the benchmarks behind it (three hours for those not yet run)",
}


def main(names: list[str]) -> int:
    """Run the benchmarks; the exit code is the worst of theirs."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(f"no benchmark {', '.join(unknown)}; there are:")
        print("\n".join(f"  {name:<15}{about}" for name, about in BENCHMARKS.items()))
        return 2
    worst = 0
    for name in names or BENCHMARKS:
        print(f"== {name}: {BENCHMARKS[name]}")
        worst = max(worst, importlib.import_module(f"benchmarks.{name}").main([]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
