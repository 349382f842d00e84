{#
    Whether an operation has a value that cannot be right: one below 0, a part larger than what it is part of, more than 10^12
    tokens, a first token after the end, or a start more than a minute (for clocks that differ) after it was loaded. What
    is unknown is not compared. Reads the columns of fct_llm_operations.
#}
{% macro has_impossible_value() -%}
    coalesce(
        least({{ token_columns() | join(', ') }}, latency_ms, time_to_first_token_ms) < 0
        or recorded_cost_usd < 0
        or greatest(input_tokens, output_tokens) > 1000000000000
        or input_tokens < coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0)
        + coalesce(input_audio_tokens, 0) - coalesce(cache_read_audio_tokens, 0)
        or least(cache_read_tokens, input_audio_tokens) < cache_read_audio_tokens
        or cache_write_tokens < cache_write_1h_tokens
        or output_tokens < coalesce(reasoning_tokens, 0) + coalesce(output_audio_tokens, 0)
        or time_to_first_token_ms > latency_ms
        or started_at > loaded_at + interval '1 minute',
        false
    )
{%- endmacro %}
