{#
    Why the tokens of an operation cannot be priced, or NULL: a count that has a price is unknown ('no_usage'), a part is larger
    than what it is part of ('impossible_usage'), or it is not said how many of the cached tokens were audio
    ('ambiguous_usage'). `usage` is the relation with the tokens, `prices` the one with the price.
#}
{% macro usage_problem(usage, prices) -%}
    case
        when {{ usage }}.input_tokens is null and {{ prices }}.has_input_price then 'no_usage'
        when {{ usage }}.output_tokens is null and {{ prices }}.has_output_price then 'no_usage'
        when
            {{ usage }}.cache_read_tokens > 0
            and {{ usage }}.input_audio_tokens > 0
            and {{ usage }}.cache_read_audio_tokens is null
            then 'ambiguous_usage'
        when
            least(
                {%- for tokens in token_kinds(usage).values() %}
                {{ tokens }}{{ ',' if not loop.last }}
                {%- endfor %}
            ) < 0
            or greatest({{ usage }}.input_tokens, {{ usage }}.output_tokens) > 1000000000000
            then 'impossible_usage'
    end
{%- endmacro %}
