"""Where a sandbox's checkout stands, as its guest tells: a tenant's word, read strictly wherever it comes from."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sandkeeper.plan.tenant_text import harmless

Json = dict[str, Any]

_LONGEST_BRANCH: Final = 255
_LONGEST_REPOSITORY: Final = 1024
_MOST_FILES: Final = 2**31


def _clean(text: str) -> str:
    return harmless(text, len(text))


class Checkout(BaseModel):
    """Where a checkout stands.

    Attributes
    ----------
    branch, commit
        None where none is checked out.
    dirty_files
        Files with changes that are not committed; None where nobody counted them.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, strict=True)

    branch: Annotated[str, Field(max_length=_LONGEST_BRANCH), AfterValidator(_clean)] | None = None
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")] | None = None
    dirty_files: int | None = Field(default=None, alias="dirtyFiles", ge=0, le=_MOST_FILES)

    def to_json(self) -> Json:
        """Give it as it stands in a status and a note."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def of(self, repository: str) -> CapturedCheckout:
        """Put to it of which repository it is."""
        return CapturedCheckout(repository=repository, **self.model_dump())


class CapturedCheckout(Checkout):
    """Where a checkout of a repository stands."""

    repository: Annotated[str, Field(max_length=_LONGEST_REPOSITORY), AfterValidator(_clean)] | None = None


def checkout_asleep(status: Json) -> Checkout | None:
    """Read from a sandbox's status where the checkout stands; None where that does not tell, as while it is awake."""
    try:
        return Checkout.model_validate(status["git"]) if "git" in status else None
    except ValidationError:
        return None
