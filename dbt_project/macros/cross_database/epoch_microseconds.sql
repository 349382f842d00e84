{# Microseconds from 1970-01-01 to a naive UTC timestamp, as a bigint. #}
{% macro epoch_microseconds(utc_timestamp) -%}
    {{ return(adapter.dispatch('epoch_microseconds', 'llmops_warehouse')(utc_timestamp)) }}
{%- endmacro %}

{% macro default__epoch_microseconds(utc_timestamp) -%}
    cast(extract(epoch from {{ utc_timestamp }}) * 1000000 as bigint)
{%- endmacro %}

{% macro duckdb__epoch_microseconds(utc_timestamp) -%}
    epoch_us({{ utc_timestamp }})
{%- endmacro %}
