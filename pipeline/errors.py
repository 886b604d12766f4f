"""
The one error tree: who acts on what went wrong.

    PipelineError            one line on stderr, exit 1
    ├── SettingsError        the user fixes a flag or models.yaml, exit 2
    ├── RunStopped           ended on purpose before the end, resumable
    │   ├── Interrupted      Ctrl-C or SIGTERM, exit 130
    │   ├── BudgetSpent      --max-cost is used up
    │   └── EndpointDown     an outage outlasted --max-outage
    ├── StorageError         the disk or the run folder
    ├── LLMError             the server
    │   ├── RateLimited      send fewer at once; may carry retry_after_s
    │   ├── Unreachable      timeout, refused, dropped, 5xx
    │   ├── ItemRejected     this request will never be answered; others may
    │   ├── EndpointRejected no request will be answered: key, quota, model
    │   └── EndpointLost     one of several endpoints is of no use any more
    └── UnreadableReply      answered, but not in the asked form

Messages hold no times and no counts of tries: they are written into artifacts that
two runs with the same answers must share to the byte.
"""


class PipelineError(Exception):
    """Anything the program can say in one line."""

    exit_code = 1


class SettingsError(PipelineError):
    """A flag, a file or the environment must be changed by the user."""

    exit_code = 2


class RunStopped(PipelineError):
    """The run ended before its work did; what is finished is on disk."""


class Interrupted(RunStopped):
    """The user or the system asked the run to end."""

    exit_code = 130


class BudgetSpent(RunStopped):
    """No call is admitted any more: the money the user set aside is used."""


class EndpointDown(RunStopped):
    """An endpoint has not answered for longer than the run may wait."""


class StorageError(PipelineError):
    """A file of the run could not be written or read."""


class LLMError(PipelineError):
    """The server did not answer as a server should."""


class RateLimited(LLMError):
    """The server admits fewer calls than were sent."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Keep the server's own hint, in seconds, when it gave one."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(LLMError):
    """No usable answer this time; the same request may be answered later."""


class ItemRejected(LLMError):
    """The server will not answer this request, however often it is sent."""


class EndpointRejected(LLMError):
    """The server will answer no request of this run."""


class EndpointLost(LLMError):
    """An endpoint beside the main one is out of use: its work is lost or done elsewhere."""


class UnreadableReply(PipelineError):
    """The model answered in words, not in the form that was asked for."""


def ends_the_run(error: BaseException) -> bool:
    """Whether an error of one item is the end for all of them."""
    return isinstance(
        error, EndpointRejected | RunStopped | StorageError | SettingsError
    )
