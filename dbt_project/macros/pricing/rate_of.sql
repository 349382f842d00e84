{#
    The price of the first of these units that has one, else 0: what has no price of its own has that of what it is part of.
    18 digits fit in 64 bits, by which DuckDB multiplies a hundred times as fast.
#}
{% macro rate_of(units) -%}
    cast(coalesce({% for unit in units %}{{ unit }}_price, {% endfor %}0) as numeric(18, 15))
{%- endmacro %}
