"""What can go wrong when a model is asked.

ModelError
├── RequestRefusedError     the request itself is at fault: sending it again will not help
├── ModelUnavailableError   no answer came: sending it again may help
├── BadReplyError           an answer came that is none
└── WeightsUnreadableError  the frozen counts cannot be read
"""


class ModelError(Exception):
    """Raised when a model gives no answer."""


class RequestRefusedError(ModelError):
    """Raised when a request asks for what the model does not offer; the message says what to change."""


class ModelUnavailableError(ModelError):
    """Raised when the model or the way to it is down, or took too long."""


class BadReplyError(ModelError):
    """Raised when a server sent something else than a reply: half of one, or an error under a status of success."""


class WeightsUnreadableError(ModelError):
    """Raised when bytes are not the frozen counts of an embedded model, or of another revision."""
