"""What the names that an app gives to a provider and a model stand for in the data set `genai-prices`.

Matches names and nothing else: it knows no price.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

from llmops_ingest.prices.seeds import Alias


@dataclass(frozen=True, slots=True)
class Found:
    """A model of the data set, and the provider through which it is used."""

    provider: Provider
    model: ModelInfo

    @property
    def is_own(self) -> bool:
        """Whether the provider has prices of its own for the model, or those of whoever made it."""
        return any(model is self.model for model in self.provider.models)


def find(provider: str | None, model: str, aliases: Sequence[Alias]) -> Found | None:
    """Return the model that the names stand for, None if the data set knows none.

    Aliases come first, in their order, so that a user can correct what the data set takes a name for.
    """
    for priced_provider, priced_model in [*_alternatives(provider, model, aliases), (provider, model)]:
        try:
            found = get_snapshot().find_provider_model(priced_model, None, priced_provider, None)
        except LookupError:
            continue
        return Found(*found)
    return None


def _alternatives(provider: str | None, model: str, aliases: Sequence[Alias]) -> Iterator[tuple[str | None, str]]:
    for alias in aliases:
        of_provider = _pattern(alias.provider).fullmatch(provider or "")
        of_model = _pattern(alias.model).fullmatch(model)
        if of_provider and of_model:
            yield (
                alias.priced_provider.replace("*", _text(of_provider)) or provider,
                alias.priced_model.replace("*", _text(of_model)),
            )


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", "(.*)"), re.IGNORECASE | re.DOTALL)


def _text(match: re.Match[str]) -> str:
    """Return what the pattern's * stands for; of a pattern without one, all of it."""
    return match[1] if match.re.groups else match[0]
