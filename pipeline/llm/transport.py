"""
The one place that knows the libraries under a call: the SDK and its HTTP client.

It opens the shared client, sends a request, and says what an exception of either library
means. Only public names of both are used; the SDK's own retries are off.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pipeline.errors import EndpointRejected, SettingsError
from pipeline.llm.answers import cut_answer, outcome_of_answer, outcome_of_status
from pipeline.llm.endpoint_rules import wrong_address
from pipeline.llm.error_words import parsed, told_by
from pipeline.llm.outcome import Asked, Kind, Outcome, fault
from pipeline.llm.stream import AnswerReader

if TYPE_CHECKING:
    import httpx2

_CONNECT_S = 10.0
_MOST_NAMES = 30
_LOOK_AGAIN_S, _MOST_LOOKS = 2.0, 450  # a quarter of an hour
_SPARE_CONNECTIONS = 8
_HAD_TO_WAIT_S = 0.002
_LONGEST_PAUSE_S, _PAUSE_SHARE = 0.25, 0.02
_SILENCES = 10  # timeouts of nothing but comments and white space
_NUMBERED = re.compile(r"^\[[^\]]*\]\s*|\s*\(_ssl\.c:\d+\)|\s*\(received \d.*\)|\.$")


def open_client(
    base_url: str,
    *,
    api_key: str,
    headers: Mapping[str, str],
    max_in_flight: int,
    timeout_s: float,
    uses_proxies: bool,
) -> Any:
    """The SDK's client; `timeout_s` is the longest silence of a connection."""
    import httpx2
    import openai  # here: it takes 0.4 s, and --help needs none of it

    room = max_in_flight + _SPARE_CONNECTIONS
    return openai.OpenAI(
        base_url=base_url,
        api_key=api_key,
        max_retries=0,
        default_headers=headers,
        timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        http_client=openai.DefaultHttpxClient(
            limits=httpx2.Limits(max_connections=room, max_keepalive_connections=room),
            trust_env=uses_proxies,
        ),
    )


class Exchange:
    """One request to the server, and its answer as it comes; for one thread."""

    def __init__(
        self,
        read: AnswerReader,
        *,
        asked: Asked,
        timeout_s: float,
        clock: Callable[[], float],
        on_first_piece: Callable[[float], None],
        pause: Callable[[float], None] = time.sleep,  # noqa: TID251 - the default only
    ) -> None:
        """`read` is filled with what comes."""
        self.first_piece_s: float | None = None
        self._read = read
        self._asked = asked
        self._silence_s = _SILENCES * timeout_s
        self._clock = clock
        self._on_first_piece = on_first_piece
        self._pause = pause

    def outcome(self, sdk: Any, body: Mapping[str, Any]) -> Outcome:
        """Send the body, read to the end of the answer, and say what it means."""
        import httpx2

        read, asked = self._read, self._asked
        headers: Mapping[str, str] = {}
        try:
            response = _post(sdk, body)
            headers = response.headers
            with closing(response):
                self._follow(response.iter_bytes())
        except TimeoutError:
            return _silence(read)
        except httpx2.RequestError as error:
            read.finish()
            if not read.is_whole:  # else only its connection had no end
                return _in_the_midst(error, read)
        except Exception as error:
            outcome = _outcome_of_exception(error, asked=asked)
            if outcome is None:
                raise
            return outcome
        read.finish()
        return outcome_of_answer(read, headers=headers, asked=asked)

    def _follow(self, parts: Iterable[bytes]) -> None:
        """Read on until it is over; TimeoutError when nothing but comments came."""
        read, clock = self._read, self._clock
        handled_s = alive_s = clock()
        life, was_done = 0, False
        for part in parts:
            now_s = clock()
            read.feed(part)
            if read.life != life:
                alive_s, life = now_s, read.life
                self._note_first_piece(now_s)
            elif now_s - alive_s > self._silence_s:
                raise TimeoutError
            # Once more after the end: a response read out leaves its connection open.
            if read.is_over and (was_done or not read.is_done):
                return
            was_done = read.is_done
            if now_s - handled_s > _HAD_TO_WAIT_S and read.finish_reason is None:
                self._let_some_come(now_s)
            handled_s = clock()

    def _note_first_piece(self, now_s: float) -> None:
        if self.first_piece_s is None and self._read.is_streamed and self._read.pieces:
            self.first_piece_s = now_s
            self._on_first_piece(now_s)

    def _let_some_come(self, now_s: float) -> None:
        """Waking up costs several times what a piece costs: let several come.

        Longer the longer the answer is, so that none ends later by more than 2 %.
        """
        if self.first_piece_s is not None:
            since_s = now_s - self.first_piece_s
            self._pause(min(_LONGEST_PAUSE_S, _PAUSE_SHARE * since_s))


def _post(sdk: Any, body: Mapping[str, Any]) -> httpx2.Response:
    """The response to a chat request, its body not read yet."""
    import httpx2
    import openai

    # Not chat.completions.create: a fifth of a call's CPU time would go into checking a
    # body that is plain JSON already, and far more into events of its own.
    response: httpx2.Response = sdk.post(
        "/chat/completions",
        body=body,
        cast_to=httpx2.Response,
        stream=True,
        stream_cls=openai.Stream[Any],
    )
    return response


def only_model(
    sdk: Any,
    base_url: str,
    *,
    redact: Callable[[str], str],
    wait: Callable[[float], None],
) -> str:
    """The model that the server offers; SettingsError where it is not exactly one.

    A server that still loads its model is waited for, by `wait`.
    """
    remedy = "name the one to use by --model, OPENAI_MODEL, or `model` of the preset"
    for _ in range(_MOST_LOOKS):
        found = offered_models(sdk)
        if not isinstance(found, Outcome) or found.kind is not Kind.LOADING:
            break
        wait(_LOOK_AGAIN_S)
    else:
        found = fault("it was still loading a model after a long wait")
    if isinstance(found, Outcome):
        said = redact(str(found.error))
        if found.kind is Kind.FATAL_RUN and "/v1" not in said:
            raise EndpointRejected(said)
        message = f"{base_url} did not say which models it has ({said}); {remedy}"
        raise SettingsError(message)
    if len(found) != 1:
        shown = ", ".join(found[:_MOST_NAMES])
        shown += ", ..." if len(found) > _MOST_NAMES else ""
        message = f"{base_url} offers {len(found)} models ({shown}); {remedy}"
        raise SettingsError(message)
    return found[0]


def offered_models(sdk: Any) -> list[str] | Outcome:
    """The names of the server's models, or why there are none."""
    import httpx2

    try:
        response: httpx2.Response = sdk.get("/models", cast_to=httpx2.Response)
    except Exception as error:
        outcome = _outcome_of_exception(error, asked=Asked())
        if outcome is None:
            raise
        return outcome
    body = parsed(response.text)
    listed = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(listed, list):
        return wrong_address(told_by(body)) or fault("it sent no list of models")
    names = (each.get("id") for each in listed if isinstance(each, Mapping))
    return sorted(name for name in names if isinstance(name, str))


def _outcome_of_exception(error: Exception, *, asked: Asked) -> Outcome | None:
    import openai

    if isinstance(error, openai.APIStatusError):
        return outcome_of_status(
            error.status_code,
            parsed(error.response.text),
            headers=error.response.headers,
            asked=asked,
        )
    if isinstance(error, openai.APIConnectionError):
        return _before_an_answer(error.__cause__ or error)
    return None


def _in_the_midst(error: Exception, read: AnswerReader) -> Outcome:
    import httpx2

    if isinstance(error, httpx2.TimeoutException):
        return _silence(read)
    return cut_answer(read, _words_of(error))


def _silence(read: AnswerReader) -> Outcome:
    """The server said nothing for too long."""
    when = "in the midst of" if read.pieces else "before"
    message = f"the server was silent {when} its answer for longer than --timeout"
    return fault(message, kind=Kind.TIMEOUT)


def _before_an_answer(cause: BaseException) -> Outcome:
    import httpx2

    if isinstance(cause, httpx2.ConnectTimeout):
        return fault("connection failed (no answer to it)", kind=Kind.ABSENT)
    if isinstance(cause, httpx2.TimeoutException):
        return _silence(AnswerReader())
    if isinstance(cause, httpx2.ConnectError):
        return fault(f"connection failed ({_words_of(cause)})", kind=Kind.ABSENT)
    is_ours = (
        httpx2.LocalProtocolError,
        httpx2.UnsupportedProtocol,
        httpx2.DecodingError,
    )
    kind = Kind.TRANSIENT if isinstance(cause, is_ours) else Kind.DOWN
    return fault(f"connection failed ({_words_of(cause)})", kind=kind)


def _words_of(error: BaseException) -> str:
    """The library's words, without numbers of errors and lines."""
    return _NUMBERED.sub("", str(error)).strip() or type(error).__name__
