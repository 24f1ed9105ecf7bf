"""Reads a process's settings from its variables; what is wrong with them is said in a line per variable."""

from __future__ import annotations

import os
from typing import TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

S = TypeVar("S", bound=BaseSettings)


def settings_of(kind: type[S]) -> S:
    """Read the settings of a process.

    Raises
    ------
    typer.Exit
        With status 2, after the sentences have gone to standard error.
    """
    prefix = str(kind.model_config.get("env_prefix", ""))
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors():
            variable = prefix + "_".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"{variable}: {problem['msg']} (got {problem['input']!r})", err=True)
        raise typer.Exit(2) from error
    except SettingsError as error:
        # The one way to get here is text that is not JSON; the message ends in the field's name and its source.
        field = str(error).partition('"')[2].partition('"')[0]
        variable = prefix + field.upper()
        form = "list, such as []" if "tuple" in str(kind.model_fields[field].annotation) else "object, such as {}"
        typer.echo(f"{variable}: must be a JSON {form} (got {os.environ.get(variable)!r})", err=True)
        raise typer.Exit(2) from error
