{# As a post-hook: let the database count what is in the new table, without which PostgreSQL joins it row by row. #}
{% macro analyze_this() -%}
    {{ return(adapter.dispatch('analyze_this', 'llmops_warehouse')()) }}
{%- endmacro %}

{% macro default__analyze_this() -%}
    analyze {{ this }}
{%- endmacro %}

{# DuckDB has counted it while writing. #}
{% macro duckdb__analyze_this() -%}
{%- endmacro %}
