{# The values of an array of doubles, in ascending order. #}
{% macro sorted_values(values) -%}
    {{ return(adapter.dispatch('sorted_values', 'llmops_warehouse')(values)) }}
{%- endmacro %}

{% macro default__sorted_values(values) -%}
    (array(select value from unnest({{ values }}) as listed (value) order by value))
{%- endmacro %}

{# The subquery takes DuckDB twenty times as long. #}
{% macro duckdb__sorted_values(values) -%}
    list_sort({{ values }})
{%- endmacro %}
