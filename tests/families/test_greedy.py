"""Greedy tokens are the reference's, up to where the reference itself is undecided."""

from __future__ import annotations

import torch

from .. import prove
from .pair import Pair

NEW = 24
TIES = {"rows": 0, "ties": 0}


@torch.no_grad()
def test_greedy_tokens(pair: Pair) -> None:
    """New tokens of a short and a full row in one batch, padded on the left; the reference re-reads every text."""
    bound = pair.ours.plan.sizes.max_position_embeddings or 4096
    scans = pair.case.family in ("zamba2", "mamba2")
    new = min(NEW // 2 if scans else NEW, bound - pair.case.prompt)
    if new == 0:
        return
    ids, mask, _ = pair.padded("left")
    if pair.case.config.get("add_bias_linear") or pair.case.config.get("use_bias"):
        ids, mask = pair.ids, torch.ones_like(pair.ids)
    # Its cache makes other steps of a state space than its scan does.
    out = pair.eager.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=new,
        do_sample=False,
        use_cache=not scans,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    logits = torch.stack(out.logits, 1)
    best = logits.topk(2, -1).values
    close = best[..., 0] - best[..., 1] <= pair.tolerance * logits.abs().amax(-1)
    found = pair.ours.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=pair.case.config["eos_token_id"],
        pad_token_id=0,
    )
    assert out.sequences.shape == found.shape
    for ours, theirs, undecided in zip(
        found[:, ids.shape[1] :], out.sequences[:, ids.shape[1] :], close, strict=True
    ):
        wrong = (ours != theirs).nonzero()
        TIES["rows"] += 1
        if len(wrong):
            TIES["ties"] += 1
            assert undecided[: int(wrong[0]) + 1].any(), f"token {int(wrong[0])} differs"


def test_undecided_rows_are_rare() -> None:
    """At most one greedy row in 200 ends at a tie of the reference."""
    rows, ties = TIES["rows"], TIES["ties"]

    prove.at_most("families: greedy rows that end at a tie", ties, max(1, rows / 200), count=rows)
