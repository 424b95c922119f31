"""How often the interval of the growth exponent covers the truth, and what a bootstrap over seeds says.

python tests/benchmarks/growth.py --sets 1000
python tests/benchmarks/growth.py --bootstrap sweeps/class

The first simulates sets of 33 runs, three at each of eleven corruptions, a third of them censored, and fits each. The
second draws the runs of a finished sweep anew, with replacement at each corruption, and fits each draw: the middle 95 %
of their exponents stand beside the interval of the profile likelihood.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from simplexlab.sweep.growth import fit_growth

sys.path.insert(0, str(Path(__file__).parents[1] / "sweep"))

from simulated import simulated

EXPONENTS = (0.5, 1.0, 1.5, 2.0, 3.0)
DRAWS = 200


def cover(sets: int) -> None:
    """Print the coverage of the 95 % interval at each exponent, and how often the truth lies below and above it."""
    for exponent in EXPONENTS:
        began = time.process_time()
        below = above = rejected = censored = 0
        for seed in range(sets):
            growth = fit_growth(*simulated(exponent, seed, noise=0.1, censored=1 / 3))
            below += exponent < growth.lower
            above += exponent > growth.upper
            rejected += growth.linear_p_value < 0.05
            censored += growth.censored / growth.runs
        print(
            f"k = {exponent}: covered {1 - (below + above) / sets:.1%}, below {below / sets:.1%}, above "
            f"{above / sets:.1%}; k = 1 rejected {rejected / sets:.1%}; censored {censored / sets:.0%}; "
            f"{1000 * (time.process_time() - began) / sets:.0f} ms a set",
            flush=True,
        )


def bootstrap(folder: Path) -> None:
    """Print, for each curve of a sweep, the exponent with its interval and with that of the bootstrap."""
    from simplexlab.sweep import collect
    from simplexlab.sweep.curves import intervals, time_to_fit

    for panel in time_to_fit(collect([folder]))["panels"]:
        for curve in panel["curves"]:
            levels, lower, upper = intervals(curve["runs"])
            growth = fit_growth(levels, lower, upper)
            generator = np.random.default_rng(0)
            exponents = []
            for _ in range(DRAWS):
                groups = [np.flatnonzero(levels == p) for p in np.unique(levels)]
                drawn = np.concatenate([generator.choice(group, len(group)) for group in groups])
                try:
                    exponents.append(fit_growth(levels[drawn], lower[drawn], upper[drawn]).exponent)
                except ValueError:
                    continue
            low, high = np.quantile(exponents, [0.025, 0.975])
            print(
                f"{panel['dataset']} {curve['label']}: {growth.exponent:.2f} ({growth.lower:.2f}–{growth.upper:.2f}), "
                f"bootstrap {low:.2f}–{high:.2f} ({len(exponents)} draws)"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--bootstrap", type=Path, metavar="SWEEP")
    options = parser.parse_args()
    if options.bootstrap:
        bootstrap(options.bootstrap)
    else:
        cover(options.sets)
