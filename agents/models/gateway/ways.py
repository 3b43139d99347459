"""The way to each model: its endpoint with the key, what the endpoint allows, and what calls of it cost."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agents.config import Config, EndpointConfig
from agents.models.endpoint import EndpointModel, parse
from agents.models.errors import EndpointMisconfiguredError
from agents.models.gateway.throttle import Throttle
from agents.models.prices import Price, PriceBook


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a model is reached."""

    model: EndpointModel
    throttle: Throttle
    price: Price
    max_tokens: int
    """Tokens of an answer where the caller says nothing."""
    outage: float
    """Seconds without any answer for which calls wait."""


class Ways:
    """The ways to all models; those to one address share its limits."""

    def __init__(self, config: Config, *, on_wait: Callable[[float], None] | None = None) -> None:
        """Whoever keeps the pace elsewhere is told by `on_wait` how long an endpoint wants to be left alone.

        Raises ConfigUnreadable or PricesUnreadable when an entry of the price book cannot be used.
        """
        self._config = config
        self._on_wait = on_wait
        self._prices = PriceBook.load(config.prices)
        self._throttles: dict[str, Throttle] = {}
        self._ways: dict[str, Way] = {}
        self._left_out: dict[str, frozenset[str]] = {}

    def to(self, spec: str) -> Way:
        """The way to a model. Raises RequestRefusedError when the name is none."""
        if spec not in self._ways:
            self._ways[spec] = self._way(spec)
        return self._ways[spec]

    def leave_out(self, spec: str, parameters: Iterable[str]) -> None:
        """Never send these parameters to a model, which does not honour them."""
        self._left_out[spec] = frozenset(parameters)

    def client(self, spec: str) -> EndpointModel:
        """A client of a model's endpoint.

        Raises:
            RequestRefusedError: the name is none.
            EndpointMisconfiguredError: its key is to be in a variable that is not set. No other key is sent there.
        """
        endpoint = parse(spec)
        allowed = self._config.endpoint(endpoint.url)
        if allowed.key_env and not os.environ.get(allowed.key_env):
            raise EndpointMisconfiguredError(
                f"the key for {endpoint.url} is to be in {allowed.key_env}, which is not set: set it, or take key_env "
                "out of ratchet.toml"
            )
        return EndpointModel(
            endpoint,
            unsupported=self._left_out.get(spec, frozenset()),
            key=os.environ.get(allowed.key_env) if allowed.key_env else None,
            extra=allowed.extra,
            timeout=allowed.timeout,
            on_wait=self._on_wait or self._throttle(endpoint.url, allowed).hold,
        )

    def _throttle(self, url: str, allowed: EndpointConfig) -> Throttle:
        if url not in self._throttles:
            self._throttles[url] = Throttle(
                requests_per_minute=allowed.requests_per_minute,
                tokens_per_minute=allowed.tokens_per_minute,
                concurrency=allowed.concurrency,
            )
        return self._throttles[url]

    def _way(self, spec: str) -> Way:
        endpoint = parse(spec)
        allowed = self._config.endpoint(endpoint.url)
        return Way(
            model=self.client(spec),
            throttle=self._throttle(endpoint.url, allowed),
            price=self._prices.price(endpoint.name, time.time()),
            max_tokens=allowed.max_tokens,
            outage=allowed.outage,
        )
