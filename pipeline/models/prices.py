"""
What calls cost: by the models file, by the price data of `genai-prices`, or nothing here.

A price is stated, looked up, or not known; a model that only resembles one in the data
has none. The data come with the library and are as old as it: nothing is fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, PriceCalculation

STATED, ON_THIS_MACHINE, UNKNOWN = "models.yaml", "on this machine", "unknown"
BY_SERVER = "the server's usage.cost"
_MILLION = 1_000_000
_Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# What may follow a name without making it another model: a date, a build, "latest".
_VERSION = re.compile(r"[-@](?:\d{3,8}|\d{4}-\d\d-\d\d|latest)|\d{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens; cached input costs as other input where not stated."""

    input: _Dollars
    output: _Dollars
    cached: _Dollars | None = None
    source: str = field(default=STATED, compare=False)

    @property
    def per_million(self) -> tuple[float, float]:
        """For input and output."""
        return self.input, self.output

    def cost(self, prompt: int, completion: int, *, cached: int = 0) -> float:
        """Dollars for a request of so many tokens, `cached` of the prompt's among them."""
        spared = 0.0 if self.cached is None else max(0.0, self.input - self.cached)
        full = prompt * self.input + completion * self.output
        return (full - min(cached, prompt) * spared) / _MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """The price of a model that the library knows, with its tiers and hours."""

    model: str
    url: str
    source: str
    per_million: tuple[float, float]
    """For input and output, in the lowest tier, at the time of the look-up."""

    def cost(self, prompt: int, completion: int, *, cached: int = 0) -> float:
        """Dollars for a request of so many tokens, `cached` of the prompt's among them."""
        cached = min(cached, prompt)
        counts = {0, cached}  # some caches are dear to read: none makes a call dearer
        return min(self._cost(prompt, completion, cached=count) for count in counts)

    def _cost(self, prompt: int, completion: int, *, cached: int) -> float:
        found = _calculated(
            self.model, self.url, input_tokens=prompt, output_tokens=completion,
            cache_read_tokens=cached,
        )  # fmt: skip
        return float(found.total_price)


FREE_HERE = Price(input=0, output=0, source=ON_THIS_MACHINE)


def listed_price(base_url: str, model: str) -> ListedPrice | None:
    """The library's price of this very model at this endpoint; None where it has none."""
    parts = urlsplit(base_url)
    url = f"{parts.scheme}://{parts.netloc.lower()}{parts.path}/"
    for name in dict.fromkeys((model, model.removeprefix("models/"))):  # Google's
        try:
            found = _calculated(name, url, input_tokens=1, output_tokens=1)
        except (LookupError, ValueError):
            continue
        paid = _of_text(found)
        if paid is not None and _is_at(url, found) and _is_meant(name, found.model):
            from genai_prices import __version__

            source = f"genai-prices {__version__}"
            return ListedPrice(model=name, url=url, source=source, per_million=paid)
    return None


def _calculated(model: str, url: str, **tokens: int) -> PriceCalculation:
    from genai_prices import Usage, calc_price  # here: it takes 0.4 s

    return calc_price(Usage(**tokens), model, provider_api_url=url)


def _of_text(found: PriceCalculation) -> tuple[float, float] | None:
    """Dollars per million tokens read and written; None for what is not paid so."""
    prices = (found.model_price.input_mtok, found.model_price.output_mtok)
    first, last = (getattr(each, "base", each) for each in prices)
    if first is None and last is None and found.model.id.endswith(":free"):
        return 0.0, 0.0
    return None if None in (first, last) else (float(str(first)), float(str(last)))


def _is_at(url: str, found: PriceCalculation) -> bool:
    """Whether the host is the provider's, not only one that begins like it."""
    return (
        re.match(rf"(?:{found.provider.api_pattern})(?:(?<=/)|(?=[/:]))", url)
        is not None
    )


def _is_meant(name: str, model: ModelInfo) -> bool:
    """Whether the data state the name; they also match by how names begin."""
    name = name.lower()
    for stated in (model.id, *_names(model.match)):
        stem = stated.lower()
        if name.startswith(stem):
            rest = name.removeprefix(stem)
            if not rest or _VERSION.fullmatch(rest):
                return True
    return any(re.fullmatch(pattern, name) for pattern in _patterns(model.match))


def _names(clause: Any) -> list[str]:
    """The names in the data's rule, those with which one begins among them."""
    nested = getattr(clause, "or_", ()) or getattr(clause, "and_", ())
    own = [getattr(clause, kind, None) for kind in ("equals", "starts_with")]
    return [text for text in own if text] + [n for c in nested for n in _names(c)]


def _patterns(clause: Any) -> list[str]:
    """Of the data's regular expressions those that spell a whole name."""
    nested = getattr(clause, "or_", ())
    own = getattr(clause, "regex", "")
    is_whole = own.startswith("^") and own.endswith("$") and ".*" not in own
    return [own] * is_whole + [p for c in nested for p in _patterns(c)]
