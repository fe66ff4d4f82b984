"""One command line from its words to its exit code: every way it can end is decided here."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

import click

from composer.cli import output
from composer.cli.verbs import PROGRAM, verbs
from composer.errors import CallError, ComposerError, Problem, UsageError

FINE, FAILED, USAGE = 0, 1, 2
DEBUG = "COMPOSER_DEBUG"


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command line.  Raises KeyboardInterrupt, and under --debug what should not happen."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    output.prepare()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = output.warn
            return code_of(verbs.main(words, prog_name=PROGRAM, standalone_mode=False))
    except ComposerError as error:
        output.tell(error.problems)
        return USAGE if isinstance(error, UsageError | CallError) else FAILED
    except click.ClickException as error:
        output.talk(usage(error))
        return USAGE
    except click.Abort as abort:
        raise interrupt_of(abort) from None
    except BrokenPipeError:
        output.close_quietly()
        return FINE
    except MemoryError:
        return no_memory()
    except OSError as error:
        output.tell([fault_of_plugin(error) or Problem("E903", f"error: {error}")])
        return FAILED
    except Exception as error:
        return internal(error, words)


def interrupt_of(abort: click.Abort) -> KeyboardInterrupt:
    """The interrupt that ended a verb, with its notes."""
    cause = abort.__cause__ or abort.__context__
    return cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt()


def code_of(value: object) -> int:
    """What a verb returns is its exit code; nothing means fine."""
    return value if isinstance(value, int) else FINE


def usage(error: click.ClickException) -> str:
    """A mistake in the command line, and where help is."""
    context = getattr(error, "ctx", None)
    asked = context.command_path if context else PROGRAM
    return f"error: {error.format_message()}\n   hint: {asked} --help"


def fault_of_plugin(error: Exception) -> Problem | None:
    """The problem of an error that came out of code of a plugin; None of any other."""
    from composer.plugins import blamed  # half of the time of --help

    return blamed(error)


def no_memory() -> int:
    """The machine is too small for what was asked."""
    output.talk("error: there is not enough memory for this [E902]")
    return FAILED


def internal(error: Exception, words: Sequence[str]) -> int:
    """What should not have happened: one line, and the traceback for those who ask."""
    if type(error).__name__ == "OutOfMemoryError":  # torch's own, for devices
        return no_memory()
    if "--debug" in words or os.environ.get(DEBUG):
        raise error
    if problem := fault_of_plugin(error):
        output.tell([problem])
        return FAILED
    output.talk(
        f"internal error: {type(error).__name__}: {error} [E901]\n"
        f"   hint: this is a fault of the program; {DEBUG}=1 shows where, please report that with the command"
    )
    return FAILED
