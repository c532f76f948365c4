"""What every command is made with: the options that all share, the client, and how its answer is shown."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_type_hints

import typer
from typer.core import TyperCommand

from ferryml.cli.options import expand
from ferryml.cli.talk import Talk
from ferryml.domain.errors import Refused

if TYPE_CHECKING:
    from ferryml.sdk.client import Client

Handler = Callable[..., Any]
Form = Literal["json", "jsonc", "tsv", "table", "yaml", "yamlc", "none"]

Name = Annotated[str, typer.Option("--name", "-n", help="Its name.")]
OptionalName = Annotated[str | None, typer.Option("--name", "-n", help="Its name; overrides the file's.")]
Version = Annotated[str | None, typer.Option("--version", "-v", help="Its version.")]
File = Annotated[Path, typer.Option("--file", "-f", help="YAML file.")]
OptionalFile = Annotated[Path | None, typer.Option("--file", "-f", help="YAML file.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change the file before it is read: a.b=c ...")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end of the operation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
MaxResults = Annotated[int | None, typer.Option("--max-results", "-r", min=1, help="Most items to list.")]
DownloadPath = Annotated[Path, typer.Option("--download-path", "-p", help="Folder to write to.")]


class Bundle:
    """Options that several commands take together; each field of a subclass is one option."""


@dataclass(kw_only=True)
class Shared(Bundle):
    """What every command takes."""

    workspace_name: Annotated[
        str | None, typer.Option("--workspace-name", "-w", help="Workspace; else FERRY_WORKSPACE or the context's.")
    ] = None
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", help="Accepted and ignored, for az scripts.")
    ] = None
    context: Annotated[str | None, typer.Option("--context", help="A remembered server; see `ferry context`.")] = None
    output: Annotated[Form | None, typer.Option("--output", "-o", help="How to print the answer; json by default.")] = (
        None
    )
    query: Annotated[str | None, typer.Option("--query", help="JMESPath: the part of the answer to print.")] = None
    only_show_errors: Annotated[bool, typer.Option("--only-show-errors", help="No notes and warnings.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show calls, and where an error came from.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", hidden=True, help="Accepted and ignored.")] = False
    subscription: Annotated[str | None, typer.Option("--subscription", hidden=True, help="Accepted, ignored.")] = None

    columns: ClassVar[Sequence[str]] = ()

    @property
    def asked(self) -> bool:
        """Whether the caller said how the answer is to be printed: scripts do."""
        return bool(self.output or self.query)

    @functools.cached_property
    def talk(self) -> Talk:
        """Where notes go."""
        return Talk(self.only_show_errors)

    @functools.cached_property
    def client(self) -> Client:
        """The client of the workspace; imported and connected when first used."""
        from ferryml.sdk.client import Client

        return Client(
            workspace=self.workspace_name, context=self.context, progress=self.talk.bytes, trace=self.trace
        )  # fmt: skip

    @functools.cached_property
    def ends(self) -> contextlib.ExitStack:
        """What is to be given back after the command."""
        return contextlib.ExitStack()

    def use(self, client: Client) -> None:
        """Speak to this server instead of the one that was named."""
        self.close()
        self.client = client

    def close(self) -> None:
        """Give the client's connections back, if it was used."""
        if "client" in vars(self):
            self.client.close()

    @property
    def trace(self) -> Callable[[str], object] | None:
        return (lambda line: print(line, file=sys.stderr)) if self.debug else None


@dataclass(kw_only=True)
class Edits(Bundle):
    """How an update says what changes, as `az` does."""

    set: Set = None
    add: Annotated[list[str] | None, typer.Option("--add", help="Add to a list or mapping: PATH KEY=VALUE ...")] = None
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Remove a key or list item: PATH [INDEX]")] = None
    force_string: Annotated[bool, typer.Option("--force-string", help="Take values of --set and --add as text.")] = (
        False
    )


class Command(TyperCommand):
    """A command whose options may be shortened, as argparse allows."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Whole names first, then as usual; completion takes what was typed."""
        if not ctx.resilient_parsing:
            options = {
                name: not getattr(param, "is_flag", False)
                for param in self.get_params(ctx)
                if param.param_type_name == "option"
                for name in (*param.opts, *param.secondary_opts)
            }
            args = expand(args, options)
        return super().parse_args(ctx, args)


def new_app(text: str) -> typer.Typer:
    """The Typer of one word."""
    app = typer.Typer(help=text, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    # without a callback a word with one verb would lose the verb
    app.callback()(lambda: None)
    return app


def single_app() -> typer.Typer:
    """The Typer of a word that is a command by itself."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def verb(app: typer.Typer, name: str, columns: Sequence[str] = (), **options: Any) -> Callable[[Handler], Handler]:
    """Make a function a command: what it returns is printed as -o and --query say.

    Parameters whose type is a Bundle stand for the options of that bundle; every command has those of Shared.
    """

    def make(function: Handler) -> Handler:
        own, bundles = _parameters(function)

        def run(**values: Any) -> None:
            made = {key: bundle(**{f.name: values.pop(f.name) for f in fields(bundle)}) for key, bundle in bundles}
            shared = made["shared"]
            if "shared" not in inspect.signature(function).parameters:
                made.pop("shared")
            try:
                with shared.ends:
                    show(function(**values, **made), shared, columns)
            finally:
                shared.close()

        parameters = [*own, *(each for _, bundle in bundles for each in _of_bundle(bundle))]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by Typer
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__doc__ = function.__doc__
        app.command(name, cls=Command, **options)(run)
        return function

    return make


def form_of(shared: Shared) -> str:
    """How the answer is to be printed. Raises Refused(Usage)."""
    import os

    from ferryml.cli.output import FORMATS

    form = shared.output or os.environ.get("FERRY_OUTPUT", "json")
    if form not in FORMATS:
        raise Refused("Usage", f"FERRY_OUTPUT is {form!r}", f"It may be {', '.join(FORMATS)}.")
    return form


def show(value: Any, shared: Shared, columns: Sequence[str] = ()) -> None:
    """Print an answer; None prints nothing, also when a query picked it: `[ -z "$(ferry ...)" ]` holds."""
    from ferryml.cli.output import queried, write, written

    if value is None:
        return
    form = form_of(shared)
    picked = queried(value, shared.query)
    if picked is None:
        return
    write(written(picked, form, () if shared.query else columns, sys.stdout.isatty()), sys.stdout)


def confirm(yes: bool, question: str) -> None:
    """Ask before something is lost, when a person is there to answer."""
    if not yes and sys.stdin.isatty() and not typer.confirm(question, err=True):
        raise typer.Abort


def overrides(given: Sequence[str] | None, **named: Any) -> list[str | Mapping[str, Any]]:
    """--set, and options that stand for keys of the file; None stands for nothing."""
    said = {key: value for key, value in named.items() if value is not None}
    return [*(given or ()), *([said] if said else [])]


def need(value: Any, option: str) -> Any:
    """The value of an option that this use needs. Raises Refused(Usage)."""
    if value is None:
        raise Refused("Usage", f"{option} is missing", "See --help.")
    return value


def _parameters(function: Handler) -> tuple[list[inspect.Parameter], list[tuple[str, type[Any]]]]:
    hints = get_type_hints(function, include_extras=True)
    own: list[inspect.Parameter] = []
    bundles: list[tuple[str, type[Any]]] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        if isinstance(hint, type) and issubclass(hint, Bundle):
            bundles.append((parameter.name, hint))
        else:
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint))
    if "shared" not in dict(bundles):
        bundles.append(("shared", Shared))
    return own, sorted(bundles, key=lambda pair: pair[0] == "shared")


def _of_bundle(bundle: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    return [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name],
            default=None if each.default is MISSING else each.default,
        )
        for each in fields(bundle)
    ]  # fmt: skip
