{# The columns of an operation that count tokens; see token_kinds for which of them are part of which. #}
{% macro token_columns() -%}
    {{ return([
        'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'cache_write_1h_tokens', 'input_audio_tokens',
        'cache_read_audio_tokens', 'output_tokens', 'reasoning_tokens', 'output_audio_tokens'
    ]) }}
{%- endmacro %}
