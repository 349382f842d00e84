{# Second half of the day rule, a filter on what the mart reads: in an incremental run, only the days the mart lacks. #}
{% macro where_day_is_missing() -%}
    {%- if is_incremental() -%}
    where operation_date not in (select distinct operation_date from {{ this }})
    {%- endif -%}
{%- endmacro %}
