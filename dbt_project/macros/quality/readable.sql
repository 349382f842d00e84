{# A double as text with so many decimals, rounded half away from zero on every engine. #}
{% macro readable(value, decimals) -%}
    cast(cast({{ to_usd(value) }} as numeric(38, {{ decimals }})) as varchar)
{%- endmacro %}
