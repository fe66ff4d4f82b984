"""What is usually the cause when a check fails, by what the block remembers."""

from __future__ import annotations

from collections.abc import Mapping

from .bench import Bench

ALL: Mapping[str, str] = {
    "options": "give every option Field(description=...), plain values that YAML can hold, and let settle() only "
    "fill in what is None",
    "parameters": "declares() and the module must agree: linears by LinearGroup, everything else in `params`, in "
    "the order in which __init__ makes them; tables belong into at.step.once, not into buffers",
    "initialisation": "Param.init is a name such as linear, bias, norm, or one of yours; the host draws the values, "
    "so leave parameters empty in __init__ and read none of them there",
    "flops": "count what is multiplied beyond the linears: a window bounds the keys at min(context, window), and "
    "every product of matrices, grouped or not, is 2 x its sizes; return None where you cannot know",
    "shape": "return (batch, tokens, site.writes) in the dtype of the input, for one row and one token as well: "
    "no squeeze(), and no constant of another dtype",
    "sees_no_more": "the mask, the padding of a convolution or a sum reaches further than sees() says: a window of n "
    "is the token itself and n - 1 before it, a convolution pads on the left alone, no mean runs over tokens",
    "sees_no_less": "sees() promises more than the module looks at: make both read the same option",
    "rows": "something is computed over the batch: a mean, a norm, a sort, a view that mixes rows and heads",
    "kernels": "the result depends on at.step.attention: leave that to attend(), with the same scale and mask in "
    "whatever you write out by hand",
    "repeats": "the module keeps something between calls: a tensor, a count, a scale found in the first call, a "
    "weight that is changed; memory belongs into the slot, tables into at.step.once; or "
    "chance plays a part outside training",
    "input_kept": "an operation ending in _ or an indexed assignment writes into x, or into a view of it",
    "dropout": "pass p only `if self.training`, draw with torch alone, and name the option with `dropout` in it",
    "gradients": "detach(), .data, .item(), no_grad() or a rounded choice stands between the parameter and what is "
    "returned; a backward of your own must be the slope of its forward",
    "half": "a constant or a float32 tensor widens the result, or a value passes 65504 before it is scaled down: do "
    "sums and exponentials in .float() and go back by .to(x.dtype)",
    "meta": "__init__ computes a value or keeps a tensor: keep plain numbers, and make tables by at.step.once",
    "saving": "something that was computed from the weights is kept when others are loaded: compute it in the call",
    "copies": "a function that was made in __init__ holds on to the first module, or an option cannot be pickled: "
    "write methods, and pass what they need",
    "prepared": "something that was computed from the weights is kept when they change: compute it in the call, or "
    "leave packing to LinearGroup",
    "adapters": "call the group, `q, k, v = self.qkv(x, at)`: its weights and its parts know nothing of adapters",
    "compiling": "the module asks whether it is compiled, or counts in Python what belongs into tensors",
}

BY_MEMORY: Mapping[str, Mapping[str, str]] = {
    "memory": {
        "none": "a block without a slot remembers nothing: call neither at.keys nor attend, or declare a slot",
        "kv": "call attend() or at.keys() exactly once a call, also for a single token, with (batch, heads, tokens, "
        "width) of the declared heads and widths, and hand it the `at` that you were given",
        "recurrent": "call at.remember() exactly once a call, also for a single token, with every declared name, "
        "(batch, *shape), in float32",
    },
    "padding": {
        "none": "positions come from at.step.positions, never from columns, and nothing is computed over all tokens",
        "kv": "positions come from at.step.positions, never from columns, and those of keys from "
        "keys.positions(at.step), negative where nothing is kept; what stands beside the slot (a "
        "convolution, a shift) must find the last real tokens by at.step.counts",
        "recurrent": "padding changes the state: multiply the step size by at.step.valid after its clamp (or the input "
        "and the decay, so that pads write nothing and nothing fades), and take the tail of a convolution behind the "
        "last real token, by at.step.counts",
    },
    "packing": {
        "none": "at.step.segments tells packed sequences apart: tokens of another must not be read",
        "kv": "positions restart in at.step.positions, not in at.step.indices; a mask of your own, instead of that of "
        "attend(), compares at.step.segments of query and key as well; a convolution or a shift must not reach over "
        "a change of at.step.segments",
        "recurrent": "where at.step.segments changes, the state begins at zero and the convolution sees no earlier "
        "token",
    },
    "chunks": {
        "none": "what a token returns depends on earlier calls: declare a slot, or read at.step.positions",
        "kv": "the slot holds too little or the positions are those of this call: Slot.window must be the window that "
        "is looked at, positions come from at.step.positions",
        "recurrent": "the state does not carry on: begin with at.state(), hand back what is behind the last real "
        "token, and let the convolution begin with its tail",
    },
    "steps": {
        "none": "a single token is treated otherwise than many",
        "kv": "a single token is treated otherwise than many: a shortcut for one token forgets the positions, the "
        "mask or the memory; or Slot.window is smaller than the window that is looked at",
        "recurrent": "the formula for a single token is not that for many (a clamp, a bias or an order of decay and "
        "input that differs), or one of both forgets to remember",
    },
    "ragged": {
        "none": "rows stand at different places: read at.step.starts row by row",
        "kv": "rows stand at different places: at.step.starts[0] is not that of all, and at.fresh asks all of them",
        "recurrent": "a row may bring no token to a call, and keeps its state then: index - 1 of a count of 0 is the "
        "last column; a row may begin when others go on, which at.fresh does not say",
    },
    "crop": {
        "none": "the module remembers by itself; declare a slot",
        "kv": "something is remembered beside the slot, which the host cannot take back: declare every tensor of it",
        "recurrent": "something is remembered beside the slot, or the state depends on how often the block was "
        "called: it must be a function of the state before, the tokens, and which of them are real",
    },
    "states": {"recurrent": "a part of the state counts calls or pads instead of real tokens"},
    "bounded": {
        "kv": "memory grows with the text, or what is remembered does: give the slot a window or rescale",
        "recurrent": "the state grows without end (its decay must stay below 1 for every input), or a long or large "
        "text runs out of digits: divide by no product of decays, and use softplus() and the like of torch",
        "none": "what it returns grows with the text",
    },
}


BY_WORDS: Mapping[str, Mapping[str, str]] = {
    "options": {
        "without a description": "write Field(description=...) with a sentence: `schema` and `show` print it",
        "changed later": "leave options frozen: the host counts, hashes and shares them",
        "unhashable": "write tuple[...] instead of list, and a tuple of pairs instead of dict",
        "settling": "settle() only fills in what is None: the same again from what it returned",
    },
    "parameters": {
        "the order is": "make parameters and groups in __init__ in the declared order, the module's own before them",
        "one tensor": "give it one name, and read it twice",
        "buffers": "make tables by at.step.once, in the call, and keep constants as plain numbers",
    },
    "memory": {
        "seen": "Slot(window=...) is the window that sees() names, the token itself included",
        "overflow": "a constant does not fit bfloat16 or float16: take torch.finfo(x.dtype).min",
    },
    "gradients": {
        "not finite": "a pad that sees nothing is a softmax of -inf alone, which no later mask mends: let it see "
        "something; or a root, a log or a norm of zero",
        "inplace": "what a gradient needs is changed in place: do that only where no gradient is wanted",
    },
    "half": {
        "not finite": "a value passes 65504: scale before you sum, take torch.finfo(x.dtype).min for what is hidden, "
        "and do sums and exponentials in .float()",
        "it returns torch.float32": "go back to the stream's dtype by .to(x.dtype) before you return",
    },
}
"""Causes that what was found gives away, by words in it."""


def hint(check: str, bench: Bench, said: str) -> str:
    """The likely cause for this block of what a check said, and what to write instead."""
    for words, cause in BY_WORDS.get(check, {}).items():
        if words in said:
            return cause
    slot = bench.declared.slot
    return ALL.get(check) or BY_MEMORY[check].get(slot.kind if slot else "none", "")
