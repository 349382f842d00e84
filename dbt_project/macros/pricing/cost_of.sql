{#
    US dollars, numeric(38, 12), for the tokens of some `kinds` (of those that token_kinds has) and, with 'request', for the
    operation itself: each kind is rounded for itself, half away from zero, so that the parts of a cost add up to it. `usage`
    is the relation with the tokens, which must not be impossible, `rates` the one with the rates, their names after `prefix`.
#}
{% macro cost_of(kinds, usage, rates, prefix='') -%}
    {%- set tokens = token_kinds(usage) -%}
    {%- for kind in kinds %}
        {%- set rate = rates ~ '.' ~ prefix ~ kind ~ '_rate' %}
    {% if not loop.first %}+ {% endif -%}
    {{ charge(tokens[kind], rate) if kind in tokens else 'cast(' ~ rate ~ ' as numeric(38, 12))' }}
    {%- endfor %}
{%- endmacro %}
