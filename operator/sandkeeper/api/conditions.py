"""Conditions, as all kinds have them."""

from pydantic import Field

from .model import Model


class Condition(Model):
    """One aspect of an object's state, as metav1.Condition."""

    type: str = Field(description="The aspect, such as Ready.")
    status: str = Field(description="True, False or Unknown.")
    reason: str = Field(description="One word for programs and the first column.")
    message: str = Field(description="One sentence for people.")
    last_transition_time: str = Field(description="When the status last changed.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that it speaks of.")
