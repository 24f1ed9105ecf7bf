"""What is installed in a sandbox before it is ready."""

from typing import Annotated, Final

from pydantic import Field

from .model import Model, checks, rule

_NAME = Annotated[
    str,
    Field(
        json_schema_extra=checks(
            rule(
                r"self.matches('^[^-\\s\\pC][^\\s\\pC]*$')",
                "must be the name of a package as its manager writes it, without blanks and with no '-' in front",
            ),
            maxLength=256,
        )
    ),
]
_LIST: Final = checks(maxItems=128)


class Packages(Model):
    """Packages by the manager that installs them."""

    apt: tuple[_NAME, ...] | None = Field(
        default=None,
        description="Packages of Debian or Ubuntu, such as postgresql-client or git=1:2.39.5-0. Default: none.",
        json_schema_extra=_LIST,
    )
    apk: tuple[_NAME, ...] | None = Field(
        default=None,
        description="Packages of Alpine, such as postgresql-client. Default: none.",
        json_schema_extra=_LIST,
    )
    pip: tuple[_NAME, ...] | None = Field(
        default=None,
        description="Python packages, such as httpx or httpx==0.28.1; pip is installed where the image has none. "
        "Default: none.",
        json_schema_extra=_LIST,
    )
    npm: tuple[_NAME, ...] | None = Field(
        default=None,
        description="Node packages, installed globally, such as typescript or typescript@5.9; npm is installed where "
        "the image has none. Default: none.",
        json_schema_extra=_LIST,
    )


class EffectivePackages(Model):
    """Packages with nothing left open."""

    apt: tuple[str, ...] = ()
    apk: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is to be installed."""
        return bool(self.apt or self.apk or self.pip or self.npm)
