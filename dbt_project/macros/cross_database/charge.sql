{#
    `tokens` (bigint, of so many digits) × `rate` (numeric(18, 15)) as US dollars, numeric(digits, 12), rounded half away from
    zero.
#}
{% macro charge(tokens, rate, token_digits=19, digits=38) -%}
    cast(cast({{ tokens }} as numeric({{ token_digits }}, 0)) * {{ rate }} as numeric({{ digits }}, 12))
{%- endmacro %}
