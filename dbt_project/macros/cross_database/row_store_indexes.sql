{# The `indexes` config for single columns: where rows are stored as rows they serve BI filters, in DuckDB they only cost. #}
{% macro row_store_indexes(columns) -%}
    {{ return(adapter.dispatch('row_store_indexes', 'llmops_warehouse')(columns)) }}
{%- endmacro %}

{% macro default__row_store_indexes(columns) -%}
    {%- set indexes = [] -%}
    {%- for column in columns -%}
        {%- do indexes.append({'columns': [column]}) -%}
    {%- endfor -%}
    {{ return(indexes) }}
{%- endmacro %}

{% macro duckdb__row_store_indexes(columns) -%}
    {{ return([]) }}
{%- endmacro %}
