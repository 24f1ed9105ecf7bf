"""Why a call is refused, in the words of the CSI specification and one sentence for people."""


class Refusal(Exception):  # noqa: N818 - it is an answer, and names what it is
    """A call's refusal.

    Parameters
    ----------
    code
        Name of a gRPC status code.
    sentence
        What is wrong.
    """

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(sentence)

    @classmethod
    def invalid(cls, sentence: str) -> "Refusal":
        """Return the refusal of a call that makes no sense."""
        return cls("INVALID_ARGUMENT", sentence)

    @classmethod
    def not_found(cls, sentence: str) -> "Refusal":
        """Return the refusal for something that is not there."""
        return cls("NOT_FOUND", sentence)

    @classmethod
    def already_exists(cls, sentence: str) -> "Refusal":
        """Return the refusal for something that is there and different."""
        return cls("ALREADY_EXISTS", sentence)

    @classmethod
    def out_of_range(cls, sentence: str) -> "Refusal":
        """Return the refusal of a size."""
        return cls("OUT_OF_RANGE", sentence)

    @classmethod
    def in_use(cls, sentence: str) -> "Refusal":
        """Return the refusal to take away what somebody has."""
        return cls("FAILED_PRECONDITION", sentence)
