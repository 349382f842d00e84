{#
    A double as text with so many decimals, rounded half away from zero on every engine, through the text that both have for it;
    NULL from 1e20.
#}
{% macro readable(value, decimals) -%}
    cast(cast(cast(
        case when abs({{ value }}) < 1e20 then cast({{ value }} as varchar) end
    as numeric(38, 12)) as numeric(38, {{ decimals }})) as varchar)
{%- endmacro %}
