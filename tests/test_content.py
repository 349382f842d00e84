"""What of texts is kept: images and sounds masked, keys never, ordinary text untouched."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_ingest.content import captured, error_text, without_secrets

IMAGE = base64.b64encode(bytes(range(256)) * 40).decode()


@pytest.mark.parametrize(
    "content",
    [
        f"see data:image/png;base64,{IMAGE} there",
        [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}],
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}],
        [{"type": "input_audio", "input_audio": {"data": IMAGE, "format": "wav"}}],
        [{"inline_data": {"mime_type": "image/png", "data": IMAGE}}],
        {"data": [{"b64_json": IMAGE}]},
        [{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{IMAGE}"}}],
    ],
)
def test_images_are_masked_and_their_size_is_kept(content: object) -> None:
    kept = captured(content, True)

    assert kept is not None
    assert IMAGE[:64] not in kept
    assert "*** (10240 bytes)" in kept


@given(st.text())
def test_ordinary_text_is_kept_as_it_is(text: str) -> None:
    assert captured(text, True) == text


def test_parts_are_kept_as_json() -> None:
    parts = [{"type": "text", "text": "Hi"}]

    assert json.loads(captured(parts, True) or "") == parts


def test_nothing_is_kept_of_no_content() -> None:
    assert captured(None, True) is None
    assert captured("Hi", False) is None


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-abcdefghijklmnop",
        "AIzaSyA1234567890abcdefghijk",
        "gsk_abcdefghijklmnop1234",
        "hf_abcdefghijklmnop1234",
        "xai-abcdefghijklmnop1234",
    ],
)
def test_keys_in_errors_are_masked(key: str) -> None:
    assert error_text(f"Incorrect API key provided: {key}.", True) == "Incorrect API key provided: ***."


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer ***"),
        ("{'api-key': '0123456789abcdef0123'}", "{'api-key': '***'}"),
        ("no route to postgresql://me:pa55word@host/db", "no route to postgresql://me:***@host/db"),
        ("https://host/v1?api_key=0123456789&n=1", "https://host/v1?api_key=***&n=1"),
        ("a skeleton_of_a_long_identifier_is_no_key", "a skeleton_of_a_long_identifier_is_no_key"),
        (
            "maximum context length is 8192 tokens: yours has 9000",
            "maximum context length is 8192 tokens: yours has 9000",
        ),
    ],
)
def test_secrets_in_errors_are_masked_and_the_rest_is_not(text: str, masked: str) -> None:
    assert error_text(text, True) == masked


def test_a_long_error_is_cut() -> None:
    assert len(error_text("x" * 1_000_000, True) or "") == 10_000


def test_secrets_in_an_apps_own_facts_are_masked_at_any_depth() -> None:
    facts = {"call": [{"headers": {"Authorization": "abc", "X-Api-Key": "def"}, "max_tokens": 5, "tokens": "many"}]}

    assert without_secrets(facts) == {
        "call": [{"headers": {"Authorization": "***", "X-Api-Key": "***"}, "max_tokens": 5, "tokens": "many"}]
    }
    assert facts["call"][0]["headers"] == {"Authorization": "abc", "X-Api-Key": "def"}
