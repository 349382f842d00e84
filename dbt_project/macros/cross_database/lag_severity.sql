{#
    How bad it is that raw rows are not in the marts yet. Where the marts read live tables, an app may write while the
    build runs, and the next build picks that up: a warning. The replica in DuckDB stands still during a build: an error.
#}
{% macro lag_severity() -%}
    {{ return(adapter.dispatch('lag_severity', 'llmops_warehouse')()) }}
{%- endmacro %}

{% macro default__lag_severity() -%}
    {{ return('warn') }}
{%- endmacro %}

{% macro duckdb__lag_severity() -%}
    {{ return('error') }}
{%- endmacro %}
