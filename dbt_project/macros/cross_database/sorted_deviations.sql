{# How far the values of an array of doubles are from the `center`, in ascending order. #}
{% macro sorted_deviations(values, center) -%}
    {{ return(adapter.dispatch('sorted_deviations', 'llmops_warehouse')(values, center)) }}
{%- endmacro %}

{% macro default__sorted_deviations(values, center) -%}
    (array(select abs(value - {{ center }}) from unnest({{ values }}) as listed (value) order by 1))
{%- endmacro %}

{% macro duckdb__sorted_deviations(values, center) -%}
    list_sort(list_transform({{ values }}, lambda value : abs(value - {{ center }})))
{%- endmacro %}
