{#
    A bigint that stands for a naive UTC timestamp in a sum that is only compared: another sum, other timestamps. The number
    of microseconds will do, but PostgreSQL takes four times as long to find it as a hash.
#}
{% macro version_of(utc_timestamp) -%}
    {{ return(adapter.dispatch('version_of', 'llmops_warehouse')(utc_timestamp)) }}
{%- endmacro %}

{% macro default__version_of(utc_timestamp) -%}
    {{ return(epoch_microseconds(utc_timestamp)) }}
{%- endmacro %}

{% macro postgres__version_of(utc_timestamp) -%}
    timestamp_hash_extended({{ utc_timestamp }}, 0)
{%- endmacro %}
