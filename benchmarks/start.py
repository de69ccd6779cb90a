"""How long `cnlw --help` takes: python benchmarks/start.py [ROUNDS]. The ratio is to an empty Python."""

import subprocess
import sys
import time
from statistics import median


def seconds(*arguments: str) -> float:
    """Wall seconds of one Python process."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    pairs = [(seconds("-m", "cnlw_tools", "--help"), seconds("-c", "")) for _ in range(rounds)]
    ours, empty = (median(p[i] for p in pairs) for i in (0, 1))
    print(
        f"cnlw --help {ours:.3f} s, python -c '' {empty:.3f} s, ratio {ours / empty:.1f} (medians of {rounds})"
    )
