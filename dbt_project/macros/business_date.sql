{#
    The calendar day of a naive UTC timestamp in `var('reporting_timezone')`, right across changes of daylight saving time.
    UTC, the default, needs no conversion, which on DuckDB would cost more than everything else done with a row.
#}
{% macro business_date(utc_timestamp) -%}
    {%- set zone = var('reporting_timezone') -%}
    {%- if zone | upper == 'UTC' -%}
        cast({{ utc_timestamp }} as date)
    {%- else -%}
        cast(timezone('{{ zone | replace("'", "''") }}', timezone('UTC', {{ utc_timestamp }})) as date)
    {%- endif -%}
{%- endmacro %}
