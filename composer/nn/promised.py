"""A built model is held to its plan: every parameter that blocks declare, of that shape, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from composer.block import Block
from composer.chain import MixerPlan
from composer.errors import PluginError, Problem
from composer.plan import Plan
from composer.plugins.gathering import called

Shapes = dict[str, tuple[int, ...]]


def check_promises(model: nn.Module, plan: Plan) -> None:
    """Raises PluginError E423 where a block built another module than it declares."""
    made = {name: tuple(each.shape) for name, each in model.named_parameters(remove_duplicate=False)}
    declared = {name: param.shape for name, param in plan.parameters().items()}
    buffers = [name for name, _ in model.named_buffers()]
    if made == declared and not buffers:
        return
    found = [*differences(made, declared), *((name, BUFFER) for name in buffers)]
    problems = [problem_of(plan, name, what) for name, what in found]
    raise PluginError(*dict.fromkeys(problems))


BUFFER = "a buffer {}, which a model without memory cannot compute: make it in forward()"


def differences(made: Shapes, declared: Shapes) -> Iterator[tuple[str, str]]:
    """Every parameter that is not as declared, and what is wrong with it."""
    for name, shape in made.items():
        if name not in declared:
            yield name, "a parameter {} that it does not declare"
        elif shape != declared[name]:
            yield name, f"the parameter {{}} of shape {shape}, and declares {declared[name]}"
    for name in declared.keys() - made.keys():
        yield name, "no parameter {}, which it declares"


def problem_of(plan: Plan, name: str, what: str) -> Problem:
    """What is wrong with one tensor, told of the block that it belongs to."""
    for prefix, mixer in homes(plan):
        if name.startswith(prefix):
            told = what.format(repr(name[len(prefix) :]))
            message = f"{whose(mixer.block, 'build()')} makes {told}"
            return Problem("E423", message, path=mixer.word, hint="the contract kit finds such faults")
    return Problem("E423", f"the model has {what.format(repr(name))}", path=name)


def homes(plan: Plan) -> Iterator[tuple[str, MixerPlan]]:
    """Every block by the prefix of its parameters."""
    for layer in plan.layers:
        for prefix, chain in layer.chains():
            for mixer in chain.mixers:
                if mixer.trunk:
                    yield mixer.trunk.prefix, mixer
                elif chain.trunk:
                    yield f"{chain.trunk.prefix}{mixer.path}.", mixer
                else:
                    yield f"layers.{layer.index}.{prefix}{mixer.path}.", mixer


def whose(block: Block, function: str) -> str:
    """A function of a block, with the plugin that it is from."""
    return f"{called(type(block))}: {function} of kind {block.kind!r}"
