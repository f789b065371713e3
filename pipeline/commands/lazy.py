"""A group of commands whose modules are imported when a command runs, so that listing them imports no large library."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Lazy(NamedTuple):
    """Where to find a command.

    Attributes:
        module, name: of the function, or of the `typer.Typer` of a group.
        renamed: new name of the command, such as `mtmc person purge`, if this is its old name; old names are not
            listed. None for a current name.
    """

    module: str
    name: str
    renamed: str | None = None

    def load_target(self) -> Any:
        """Return the function, or the `typer.Typer`."""
        return getattr(import_module(self.module), self.name)

    @property
    def summary(self) -> str:
        """First paragraph of the docstring (of a group: of its callback's), read without importing the module."""
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            return ""
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (node.name == self.name or self._is_callback(node)):
                return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
        return ""

    def _is_callback(self, function: ast.FunctionDef) -> bool:
        return any(ast.unparse(one).startswith(f"{self.name}.callback(") for one in function.decorator_list)

    def load(self, command: str) -> Any:
        """Return the command as an object of Typer or Click, with the name `command`."""
        target = self.load_target()
        if isinstance(target, typer.Typer):
            return typer.main.get_command(target)
        app = new_app()
        app.command(name=command)(target)
        return typer.main.get_command(app)


def new_app(**settings: Any) -> typer.Typer:
    """Return a `typer.Typer` with the settings that all groups of this program share."""
    return typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        **settings,
    )


class LazyGroup(TyperGroup):
    """A group of the commands in `lazy`, in that order; subclasses define `lazy`."""

    lazy: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: _Unloaded(name, one) for name, one in self.lazy.items()}


class _Unloaded(TyperCommand):
    """Placeholder for a command in a list; loads the command when it is called."""

    def __init__(self, name: str, lazy: Lazy) -> None:
        super().__init__(name, hidden=lazy.renamed is not None, rich_markup_mode="markdown")
        self._lazy = lazy

    @property
    def help(self) -> str:
        return self._lazy.summary

    @help.setter
    def help(self, text: str | None) -> None:
        """Ignore the text that Click sets; the summary is read when a list shows it."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if self._lazy.renamed is not None:
            typer.echo(
                f"note: this command is `{self._lazy.renamed}` now; the old name will be removed in the next version",
                err=True,
            )
        return self._lazy.load(str(self.name)).make_context(info_name, args, parent, **extra)
