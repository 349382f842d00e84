{#
    What caches saved of the cost of an operation, in US dollars: its cached tokens at the price of new input, less what they
    cost. `usage` and `rates` are as in cost_of.
#}
{% macro cache_savings_of(usage, rates) -%}
    {%- set tokens = token_kinds(usage) -%}
    case
        when coalesce({{ usage }}.cache_read_tokens, 0) <> 0 or coalesce({{ usage }}.cache_write_tokens, 0) <> 0
            then
            {{ charge([tokens.cache_read, tokens.cache_write, tokens.cache_write_1h] | join(' + '), rates ~ '.plain_input_rate') }}
            + {{ charge(tokens.cache_read_audio, rates ~ '.input_audio_rate') }}
            - ({{ cost_of(['cache_read', 'cache_write', 'cache_write_1h', 'cache_read_audio'], usage, rates) }})
        when {{ rates }}.plain_input_rate is not null then cast(0 as numeric(38, 12))
    end
{%- endmacro %}
