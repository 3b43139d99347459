"""Errors as they cross the bus: from an error to a refusal in the service, and back in the client."""

from contracts.ledger import Append, BlobGet, LedgerRequest, Refusal
from eventstore import errors


def to_refusal(error: errors.LedgerError) -> Refusal:
    """What the service answers for an error."""
    match error:
        case errors.Conflict():
            return Refusal(kind="conflict", message=str(error), version=error.actual)
        case errors.TooLarge():
            return Refusal(kind="too_large", message=error.reason)
        case errors.Malformed():
            return Refusal(kind="malformed", message=error.reason)
        case errors.BlobMissing():
            return Refusal(kind="missing", message=str(error))
        case errors.StoreFull():
            return Refusal(kind="full", message=str(error))
        case errors.StoreReadOnly():
            return Refusal(kind="read_only", message=str(error))
        case (
            errors.StoreClosed() | errors.LedgerUnavailable()
        ):  # for the moment: asked again, it may be served
            return Refusal(kind="closed", message=str(error))
        case _:
            return Refusal(kind="internal", message=str(error))


def to_error(refusal: Refusal, request: LedgerRequest) -> errors.LedgerError:
    """The error that the refusal of a request stands for."""
    match refusal.kind:
        case "conflict" if isinstance(request, Append):
            return errors.Conflict(request.stream, request.expected_version, refusal.version)
        case "missing" if isinstance(request, BlobGet):
            return errors.BlobMissing(request.hash)
        case "too_large":
            return errors.TooLarge(refusal.message)
        case "malformed":
            return errors.Malformed(refusal.message)
        case "full":
            return errors.StoreFull()
        case "read_only":
            return errors.StoreReadOnly()
        case "closed":
            return errors.LedgerUnavailable(refusal.message)
        case _:
            return errors.LedgerFault(refusal.message)
