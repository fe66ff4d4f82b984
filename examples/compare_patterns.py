"""What layer patterns cost, before anything is built: parameters, FLOPs and cache of each, without torch.

python examples/compare_patterns.py full 'swa×5, full' 'swa×3, full' swa --context 32768
"""

from __future__ import annotations

import argparse
from pathlib import Path

import composer

SPEC = Path(__file__).with_name("striped.yaml")


def row(pattern: str, context: int) -> str:
    """One line of the table."""
    plan = composer.resolve(composer.read_spec(SPEC, set=[f'pattern="{pattern}"']))
    flops = plan.flops(context)
    return (
        f"{pattern:<24} {plan.parameter_count:>14,} "
        f"{'unknown' if flops is None else f'{flops / 1e9:.2f}':>14} {plan.cache_bytes(context) / 2**20:>12.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patterns", nargs="*", default=["full", "swa×5, full", "swa×3, full", "swa"])
    parser.add_argument("--context", type=int, default=32768)
    options = parser.parse_args()
    print(f"{'pattern':<24} {'parameters':>14} {'GFLOP/token':>14} {'cache MiB':>12}")
    for pattern in options.patterns:
        print(row(pattern, options.context))


if __name__ == "__main__":
    main()
