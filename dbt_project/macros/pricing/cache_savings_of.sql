{#
    What caches saved of the cost of an operation, in US dollars: its cached tokens at the price of new input, less what they
    cost. `usage` and `rates` are as in cost_of.
#}
{% macro cache_savings_of(usage, rates) -%}
    {%- set tokens = token_kinds(usage) -%}
    {%- set cached = ['cache_read', 'cache_write', 'cache_write_1h', 'cache_read_audio'] -%}
    {%- set cached_text = [tokens.cache_read, tokens.cache_write, tokens.cache_write_1h] | join(' + ') -%}
    case
        when coalesce({{ usage }}.cache_read_tokens, 0) = 0 and coalesce({{ usage }}.cache_write_tokens, 0) = 0
            then case when {{ rates }}.plain_input_rate is not null then 0 end
        when {{ is_small_charge(usage, rates) }}
            then
            {{ charge(cached_text, rates ~ '.plain_input_rate', token_digits=18, digits=18) }}
            + {{ charge(tokens.cache_read_audio, rates ~ '.input_audio_rate', token_digits=18, digits=18) }}
            - ({{ charges_of(cached, usage, rates, token_digits=18, digits=18) }})
        else
            {{ charge(cached_text, rates ~ '.plain_input_rate') }}
            + {{ charge(tokens.cache_read_audio, rates ~ '.input_audio_rate') }}
            - ({{ charges_of(cached, usage, rates) }})
    end
{%- endmacro %}
