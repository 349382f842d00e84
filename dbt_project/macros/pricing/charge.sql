{#
    `tokens` (bigint, below 10^18) × `rate` (numeric(18, 15)) as US dollars, numeric(38, 12), rounded half away from zero; NULL
    without a rate, whatever the tokens.
#}
{% macro charge(tokens, rate) -%}
    cast(cast(case when {{ rate }} is not null then {{ tokens }} end as numeric(18, 0)) * {{ rate }} as numeric(38, 12))
{%- endmacro %}
