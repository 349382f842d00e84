{# Whether a regular expression is found in the text: one of what POSIX (PostgreSQL) and RE2 (DuckDB) have in common. #}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch('matches', 'llmops_warehouse')(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    {{ text }} ~ '{{ pattern }}'
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}
