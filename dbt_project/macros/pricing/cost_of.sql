{#
    US dollars, numeric(18, 12), for the tokens of some `kinds` (of those that token_kinds has) and, with 'request', for the
    operation itself: each kind is rounded for itself, half away from zero, so that the parts of a cost add up to it. NULL without
    a rate, and for more than an operation can cost (see is_amount). `usage` is the relation with the tokens, which must not be
    impossible, `rates` the one with the rates, their names after `prefix`.
#}
{% macro cost_of(kinds, usage, rates, prefix='') -%}
    {%- set cost = charges_of(kinds, usage, rates, prefix) -%}
    case
        when {{ is_small_charge(usage, rates) }} then {{ charges_of(kinds, usage, rates, prefix, token_digits=18, digits=18) }}
        when {{ is_amount('(' ~ cost ~ ')') }} then cast({{ cost }} as numeric(18, 12))
    end
{%- endmacro %}
