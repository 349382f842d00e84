{#
    What the tokens of an operation would have cost had no cache been read or written: those tokens at the price of new input.
    Rounded by kind, as cost_of does; `usage` and `rates` are as there.
#}
{% macro uncached_cost_of(usage, rates) -%}
    {%- set tokens = token_kinds(usage) -%}
    {%- for kind in ['cache_read', 'cache_write', 'cache_write_1h'] %}
    cast(cast({{ tokens[kind] }} as numeric(19, 0)) * {{ rates }}.plain_input_rate as numeric(38, 12)) +
    {%- endfor %}
    cast(cast({{ tokens.cache_read_audio }} as numeric(19, 0)) * {{ rates }}.input_audio_rate as numeric(38, 12)) +
    {{- cost_of(['plain_input', 'input_audio', 'plain_output', 'reasoning', 'output_audio', 'request'], usage, rates) }}
{%- endmacro %}
