"""The contract kit: what every block is held to, by functions that need no test runner.

`run_checks` says what came of each check, `check_block` raises what failed; with pytest:

    @composer.testing.parametrize_with_checks(MyBlock)
    def test_my_block(block, check):
        check(block)

And `verify`, which holds a whole model to its plan and every way to compute it to the same numbers.
"""

from __future__ import annotations

from .alone import Alone, alone
from .checks import contract_checks
from .parametrize import parametrize_with_checks
from .running import SITE, ContractError, Outcome, check_block, run_checks
from .verify_rows import Row, Verification
from .verifying import verify

__all__ = [
    "SITE",
    "Alone",
    "ContractError",
    "Outcome",
    "Row",
    "Verification",
    "alone",
    "check_block",
    "contract_checks",
    "parametrize_with_checks",
    "run_checks",
    "verify",
]
