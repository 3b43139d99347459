"""What can go wrong when a model is asked.

ModelError
├── RequestRefusedError         the request itself is at fault: sending it again will not help
├── ModelUnavailableError       no answer came: sending it again may help
├── EndpointMisconfiguredError  the endpoint wants another key, name or account: a person has to mend that
├── BadReplyError               an answer came that is none
├── BudgetSpentError            no budget covers the call
├── UnseenRequestError          the call is not on record
└── WeightsUnreadableError      the frozen counts cannot be read
"""


class ModelError(Exception):
    """Raised when a model gives no answer."""


class RequestRefusedError(ModelError):
    """Raised when a request asks for what the model does not offer; the message says what to change."""


class ModelUnavailableError(ModelError):
    """Raised when the model or the way to it is down, or took too long."""

    def __init__(
        self,
        reason: str = "the model is not there",
        *,
        lost: int = 0,
        again: float = 0.0,
        sent: bool = True,
    ) -> None:
        self.lost = lost
        """Tries that a provider may have billed, though no reply came of them."""
        self.again = again
        """Seconds for which an endpoint that counts as down is not asked; 0 where it does not."""
        self.sent = sent
        """Whether anything was sent at all."""
        super().__init__(reason)


class EndpointMisconfiguredError(ModelError):
    """Raised when an endpoint refuses whoever asks: the key, the account or the model's name is wrong."""


class BadReplyError(ModelError):
    """Raised when a server sent something else than a reply: half of one, or an error under a status of success."""

    def __init__(self, reason: str, *, billed: bool = True) -> None:
        self.billed = billed
        """Whether the provider may charge for it: for a reply that cannot be read, and for no error that it reports."""
        super().__init__(reason)


class WeightsUnreadableError(ModelError):
    """Raised when bytes are not the frozen counts of an embedded model, or of another revision."""


class BudgetSpentError(ModelError):
    """Raised when a budget does not cover a call; nothing was sent."""

    def __init__(self, reason: str, *, budget: str = "run") -> None:
        self.budget = budget
        super().__init__(reason)


class UnseenRequestError(ModelError):
    """Raised when a record is asked what was never asked while it was made: a guess would pass for the model."""
