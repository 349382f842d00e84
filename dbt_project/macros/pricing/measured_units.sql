{# The units of usage that raw operations say how much they used of, by the names of genai-prices. #}
{% macro measured_units() -%}
    {{ return([
        'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'cache_write_1h_tokens', 'input_audio_tokens',
        'cache_audio_read_tokens', 'output_tokens', 'output_reasoning_tokens', 'output_audio_tokens', 'requests'
    ]) }}
{%- endmacro %}
