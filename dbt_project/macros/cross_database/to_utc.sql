{# The point in time `instant` (a timestamptz) as a naive UTC timestamp: its days don't depend on the session's zone. #}
{% macro to_utc(instant) -%}
    {{ return(adapter.dispatch('to_utc', 'llmops_warehouse')(instant)) }}
{%- endmacro %}

{% macro default__to_utc(instant) -%}
    timezone('UTC', {{ instant }})
{%- endmacro %}

{# timezone() goes through DuckDB's calendar library, which takes seventeen times as long for the same answer. #}
{% macro duckdb__to_utc(instant) -%}
    make_timestamp(epoch_us({{ instant }}))
{%- endmacro %}
