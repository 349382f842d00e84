"""Tokens, service tier, model and answer of a provider's response: a client's object, or the mapping it came from.

Normalises to the inclusive counts of `llm_operations` (`facts.py`, `shapes.py`) and finds the answer (`answers.py`).
What a response does not say stays unknown; it computes no cost and imports no provider's client.
"""

from llmops_ingest.usage.answers import answer_of, piece_of
from llmops_ingest.usage.facts import facts_of

__all__ = ["answer_of", "facts_of", "piece_of"]
