"""The verbs by name, and what all of them share; the module of a verb is imported when it is wanted."""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from composer.cli import output
from composer.cli.loading import loading
from composer.errors import ComposerError, did_you_mean

PROGRAM = "arch-composer"
VERBS = (
    "check",
    "export",
    "fmt",
    "generate",
    "import",
    "init",
    "plugins",
    "schema",
    "show",
    "train",
    "verify",
)


class Lazy(click.Group):
    """Verbs by name: `verb` in a module called like it (`import_` for import), imported when it is wanted."""

    names: tuple[str, ...] = VERBS
    prefix = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, sorted."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """The verb of that name."""
        if cmd_name not in self.names:
            instead = did_you_mean(cmd_name, self.names) or f"the verbs are {', '.join(self.names)}"
            ctx.fail(f"no verb is called {cmd_name!r}; {instead}")
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        verb: click.Command = import_module(f"composer.cli.{self.prefix}{module}").verb
        return verb


class Verbs(Lazy):
    """The program: nothing but its verbs."""

    def invoke(self, ctx: click.Context) -> Any:
        """A reader of stdout that goes away ends the work, and nothing is wrong with that."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            output.close_quietly()
            return 0


class Verb(click.Command):
    """A verb: its help ends with examples, and with `--json` its problems are JSON too."""

    strict = True
    """Whether a local plugin that cannot be used stops it."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.append(
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, help="Show where a fault of the program is."
            )
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on a line of its own."""
        with formatter.section("Examples"):
            for example in self.examples:
                words = example if PROGRAM in example else f"{PROGRAM} {example}"
                formatter.write(f"{'':>{formatter.current_indent}}{words}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, with the plugins that were named; under `--json` the problems go to stdout as well."""
        try:
            with loading(ctx, self.strict):
                return super().invoke(ctx)
        except ComposerError as error:
            if ctx.params.get("as_json") and ctx.invoked_subcommand is None:
                output.json_data({"problems": error.to_json()})
            raise


def show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Print the version of the installed distribution and stop."""
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            output.data(f"{PROGRAM} {version(PROGRAM)}")
        except PackageNotFoundError:
            output.data(f"{PROGRAM}, not installed")
        ctx.exit()


verbs = Verbs(
    name=PROGRAM,
    help="Language-model architectures as YAML: checked, counted, built, loaded and run.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=show_version,
            help="Show the version and stop.",
        )  # fmt: skip
    ],
)

# Options and arguments that several verbs have, always with the same meaning.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="PATH=VALUE",
    help="Change one value of the spec, as in blocks.swa.sliding_window=1024; may be given several times.",
)  # fmt: skip
like_option = click.option(
    "--like", metavar="SPEC", help="What is given is a pattern; all else is as in this spec."
)
