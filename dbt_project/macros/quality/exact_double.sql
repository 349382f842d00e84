{# The double nearest to a decimal, through text: cast directly, DuckDB and PostgreSQL differ in the last bit of large ones. #}
{% macro exact_double(amount) -%}
    cast(cast({{ amount }} as varchar) as double precision)
{%- endmacro %}
