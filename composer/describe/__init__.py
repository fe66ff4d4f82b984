"""What can be said about an architecture without building it: pure functions of the plan, and no torch.

summary = summarise(plan, context=4096)
print(summary_text(summary))
"""

from __future__ import annotations

from composer.describe.plain import plan_data, plan_text
from composer.describe.report import summary_text
from composer.describe.schema import spec_schema
from composer.describe.summary import Part, Row, Summary, summarise

__all__ = [
    "Part",
    "Row",
    "Summary",
    "plan_data",
    "plan_text",
    "spec_schema",
    "summarise",
    "summary_text",
]
